//! What has been measured is kept, so that a run that was interrupted goes on where it was.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A folder with one file a cell.
pub(super) struct Store {
    folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct Kept<T> {
    /// On which machine, with which programs, for how long.
    key: String,
    outcome: T,
}

/// What is there of a cell.
pub(super) enum Found<T> {
    Nothing,
    /// It cannot be used, and why.
    Useless(String),
    Usable(T),
}

impl Store {
    pub(super) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder })
    }

    /// Looks for a cell that was measured under the same conditions.
    pub(super) fn find<T: DeserializeOwned>(&self, name: &str, key: &str) -> Found<T> {
        let Ok(text) = fs::read_to_string(self.path(name)) else { return Found::Nothing };
        match serde_json::from_str::<Kept<T>>(&text) {
            Ok(kept) if kept.key == key => Found::Usable(kept.outcome),
            Ok(_) => Found::Useless("it was measured on another machine, or with other programs".to_owned()),
            Err(error) => Found::Useless(format!("{} is damaged ({error})", self.path(name).display())),
        }
    }

    /// Written aside and renamed: it is there in full, or not at all.
    pub(super) fn keep<T: Serialize>(&self, name: &str, key: &str, outcome: &T) -> anyhow::Result<()> {
        let text = serde_json::to_string(&Kept { key: key.to_owned(), outcome })?;
        let aside = self.folder.join(format!("{name}.new"));
        let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, self.path(name)));
        written.with_context(|| format!("{} cannot be written", self.path(name).display()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Found, Store};
    use crate::bench::beside::figures::Outcome;

    fn cannot() -> Outcome {
        Outcome::Cannot { cannot: "why".to_owned() }
    }

    #[test]
    fn what_was_measured_is_found_again_under_the_same_conditions_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("cells")).unwrap();
        assert!(matches!(store.find::<Outcome>("monit-10", "this machine"), Found::Nothing));
        store.keep("monit-10", "this machine", &cannot()).unwrap();
        assert!(matches!(store.find::<Outcome>("monit-10", "this machine"), Found::Usable(Outcome::Cannot { .. })));
        assert!(
            matches!(store.find::<Outcome>("monit-10", "another one"), Found::Useless(why) if why.contains("another machine"))
        );
        assert!(matches!(store.find::<Outcome>("monit-100", "this machine"), Found::Nothing));
    }

    #[test]
    fn a_damaged_file_is_measured_again_and_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned()).unwrap();
        store.keep("s6-10", "key", &cannot()).unwrap();
        let whole = fs::read_to_string(folder.path().join("s6-10.json")).unwrap();
        for length in 0..whole.len() {
            fs::write(folder.path().join("s6-10.json"), &whole[..length]).unwrap();
            assert!(
                matches!(store.find::<Outcome>("s6-10", "key"), Found::Useless(why) if why.contains("damaged")),
                "{length}"
            );
        }
        store.keep("s6-10", "key", &cannot()).unwrap();
        assert!(matches!(store.find::<Outcome>("s6-10", "key"), Found::Usable(_)));
    }
}
