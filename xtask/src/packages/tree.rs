//! A folder as it will be on a host: whose modes and times do not depend on whom it was made by, and when.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use xshell::{Shell, cmd};

#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(shell: &Shell, root: &Path) -> anyhow::Result<Self> {
        shell.remove_path(root)?;
        let tree = Self { root: root.to_owned() };
        tree.folder("")?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// With all above it.
    pub(super) fn folder(&self, path: &str) -> io::Result<()> {
        let mut folder = self.root.clone();
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        for part in Path::new(path).iter() {
            folder.push(part);
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    pub(super) fn file(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> io::Result<()> {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        self.folder(above)?;
        let path = self.root.join(path);
        fs::write(&path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    /// What may be run stays so.
    pub(super) fn copy(&self, from: &Path, path: &str) -> io::Result<()> {
        let may_be_run = fs::metadata(from)?.permissions().mode() & 0o100 != 0;
        self.file(path, if may_be_run { 0o755 } else { 0o644 }, fs::read(from)?)
    }

    /// A folder with all that is in it.
    pub(super) fn copy_all(&self, from: &Path, path: &str) -> io::Result<()> {
        for file in sorted(from)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let path = format!("{path}/{name}");
            if file.is_dir() { self.copy_all(&file, &path)? } else { self.copy(&file, &path)? }
        }
        Ok(())
    }

    pub(super) fn link(&self, path: &str, to: &str) -> io::Result<()> {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        self.folder(above)?;
        symlink(to, self.root.join(path))
    }

    /// Compresses this file, as packages have their documents.
    pub(super) fn compress(&self, shell: &Shell, path: &str) -> anyhow::Result<()> {
        let path = self.root.join(path);
        Ok(cmd!(shell, "gzip -9 -n {path}").quiet().run()?)
    }

    /// Everything bears this time from now on.
    pub(super) fn stamp(&self, shell: &Shell, epoch: &str) -> anyhow::Result<()> {
        let (root, found) = (&self.root, "{}");
        Ok(cmd!(shell, "find {root} -exec touch --no-dereference --date=@{epoch} {found} +").quiet().run()?)
    }

    /// What it takes on a host in KiB, as Debian counts.
    pub(super) fn kib(&self) -> io::Result<u64> {
        kib(&self.root)
    }
}

/// What is in a folder, in an order that is always the same.
pub(super) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn kib(path: &Path) -> io::Result<u64> {
    let data = fs::symlink_metadata(path)?;
    if !data.is_dir() {
        return Ok(if data.is_file() { data.len().div_ceil(1024) } else { 1 });
    }
    sorted(path)?.iter().try_fold(1, |sum, below| Ok(sum + kib(below)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_a_host_and_links_are_kept() {
        let shell = Shell::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(&shell, &folder.path().join("tree")).unwrap();
        tree.file("usr/sbin/run", 0o755, "#!").unwrap();
        tree.copy(&tree.root().join("usr/sbin/run"), "usr/share/copy").unwrap();
        tree.link("usr/sbin/other", "run").unwrap();
        let mode = |path: &str| fs::metadata(tree.root().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!([mode(""), mode("usr"), mode("usr/sbin/run"), mode("usr/share/copy")], [0o755; 4]);
        assert_eq!(fs::read_link(tree.root().join("usr/sbin/other")).unwrap(), Path::new("run"));
        // Four folders, two files of less than a KiB, a link.
        assert_eq!(tree.kib().unwrap(), 7);
    }
}
