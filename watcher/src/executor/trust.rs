//! Whether others than root may change what root is about to run.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Something that somebody else may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenToOthers {
    path: PathBuf,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Anybody,
    Group(u32),
    Owner(u32),
}

/// Completes the sentence "others may change it: …".
impl fmt::Display for OpenToOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.how {
            How::Anybody => write!(f, "anybody may write {path} (chmod o-w {path})"),
            How::Group(group) => write!(f, "its group {group} may write {path} (chmod g-w {path})"),
            How::Owner(owner) => write!(f, "{path} belongs to user {owner} (chown root {path})"),
        }
    }
}

/// A file, or a folder above it, that others than root and this user may change.
///
/// # Errors
/// When the file cannot be looked at.
pub fn open_to_others(path: &Path) -> io::Result<Option<OpenToOthers>> {
    if let Some(how) = how(&fs::metadata(path)?, false) {
        return Ok(Some(OpenToOthers { path: path.to_owned(), how }));
    }
    // Where it is named, and where it lies.
    let real = path.canonicalize()?;
    let above = path.ancestors().skip(1).chain(real.ancestors().skip(1));
    let mut open = above.filter_map(|folder| {
        let how = how(&fs::metadata(folder).ok()?, true)?;
        Some(OpenToOthers { path: folder.to_owned(), how })
    });
    Ok(open.next())
}

fn how(data: &fs::Metadata, folder: bool) -> Option<How> {
    const BY_ANYBODY: u32 = 0o002;
    const BY_GROUP: u32 = 0o020;
    // In such a folder everybody can make files, but only replace those of his own.
    const STICKY: u32 = 0o1000;
    let own = rustix::process::geteuid().as_raw();
    let kept = folder && data.mode() & STICKY != 0;
    if data.uid() != 0 && data.uid() != own {
        Some(How::Owner(data.uid()))
    } else if data.mode() & BY_ANYBODY != 0 && !kept {
        Some(How::Anybody)
    } else if data.gid() != 0 && data.mode() & BY_GROUP != 0 && !kept {
        Some(How::Group(data.gid()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_as_safe_as_every_folder_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
        fs::create_dir(&inner).unwrap();
        let file = inner.join("file");
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        set_mode(&inner, 0o755);
        set_mode(&file, 0o755);
        assert_eq!(open_to_others(&file).unwrap(), None);
        set_mode(&file, 0o757);
        let anybody = |path: &Path| Some(OpenToOthers { path: path.to_owned(), how: How::Anybody });
        assert_eq!(open_to_others(&file).unwrap(), anybody(&file));
        set_mode(&file, 0o755);
        set_mode(&inner, 0o777);
        assert_eq!(open_to_others(&file).unwrap(), anybody(&inner));
        assert_eq!(open_to_others(&link).unwrap(), anybody(&inner.canonicalize().unwrap()), "where the link leads");
        set_mode(&inner, 0o1777);
        assert_eq!(open_to_others(&file).unwrap(), None);
        assert!(open_to_others(&inner.join("missing")).is_err());
    }
}
