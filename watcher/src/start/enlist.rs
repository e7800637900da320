//! What watching a pfile takes, claimed: its rules, its folder, its state, its control socket.

use std::{
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use watcher_core::pfile::{AbsolutePath, UnknownOptions};

use crate::{
    control::Server,
    engine::patrol::Recruit,
    executor::{
        ledger::Ledger,
        rules::{Rules, RulesReader, rules, rules_of_file},
        rundir::{ClaimError, RunDir},
        scripts::find_left,
        store::Store,
    },
    sys::host,
};

/// How a pfile is taken.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where folders of pfiles are.
    pub run_dir: PathBuf,
    /// What to do about options that are not known.
    pub unknown_options: UnknownOptions,
    /// Whether it has to be a file: a pipe keeps whoever opens it waiting.
    pub files_only: bool,
}

/// Why it did not start, or did not go on.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Another one runs.
    pub already_running: bool,
    /// Why.
    pub sentence: String,
}

impl Failed {
    pub(super) fn because(sentence: impl ToString) -> Self {
        Self { already_running: false, sentence: sentence.to_string() }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::because(error)
    }
}

impl From<ClaimError> for Failed {
    fn from(error: ClaimError) -> Self {
        let already_running = match error {
            ClaimError::AlreadyRunning(_) | ClaimError::KeyInUse(_) | ClaimError::InUse(_) => true,
            ClaimError::Unusable { .. } => false,
        };
        Self { already_running, sentence: error.to_string() }
    }
}

/// Takes on a pfile. Blocks while it is read and its hosts are looked up; a runtime has to be there.
///
/// # Errors
/// Says what is wrong with it, or who watches it already. Nothing is left behind then.
pub(super) fn enlist(pfile: &Path, terms: &Terms) -> Result<Recruit, Failed> {
    let Terms { ref run_dir, unknown_options, files_only } = *terms;
    let read = if files_only { rules_of_file } else { rules };
    let Rules { pfile: rules, mut warnings } = read(pfile, unknown_options).map_err(Failed::because)?;
    let path = full_path(pfile)?;
    let run_dir = RunDir::claim(run_dir, rules.param.ipc_key.value.number(), pfile)?;
    let control = Server::bind(&run_dir.control())?;
    let (store, mut saved, trouble) = Store::open(run_dir.state(), host::boot_id().unwrap_or_default());
    warnings.extend(trouble);
    find_left(&rules, &mut saved);
    let ledger = Ledger::new(run_dir, store, RulesReader::new(pfile.to_owned(), unknown_options));
    Ok(Recruit { pfile: path, rules, warnings, saved, ledger, control })
}

fn full_path(path: &Path) -> Result<AbsolutePath, Failed> {
    let full = std::path::absolute(path)?;
    AbsolutePath::new(full.as_os_str().as_bytes())
        .ok_or_else(|| Failed::because(format!("{} contains a control character, or ends in a blank", full.display())))
}
