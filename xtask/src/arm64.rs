//! Packages of Debian for arm64, unpacked below `target` and not installed.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use xshell::{Shell, cmd};

/// An apt with a state of its own, so that the packages of this machine are left alone.
#[derive(Debug)]
pub(crate) struct Packages {
    /// Where they are unpacked.
    folder: PathBuf,
    options: Vec<String>,
}

impl Packages {
    /// Empties the folder, and asks the mirrors of this machine what there is.
    pub(crate) fn into(shell: &Shell, folder: &Path) -> anyhow::Result<Self> {
        shell.remove_path(folder)?;
        let apt = folder.join("apt");
        for below in ["state/lists/partial", "cache/archives/partial"] {
            shell.create_dir(apt.join(below))?;
        }
        shell.write_file(apt.join("status"), "")?;
        let options = [
            format!("Dir::State={}", apt.join("state").display()),
            format!("Dir::State::status={}", apt.join("status").display()),
            format!("Dir::Cache={}", apt.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        let packages = Self { folder: folder.to_owned(), options: options.map(|option| format!("-o{option}")).into() };
        let options = &packages.options;
        cmd!(shell, "apt-get {options...} -q update").quiet().ignore_stdout().run()?;
        Ok(packages)
    }

    /// What a package depends on, by name.
    pub(crate) fn depends_on(&self, shell: &Shell, package: &str) -> anyhow::Result<Vec<String>> {
        let options = &self.options;
        let told = cmd!(shell, "apt-cache {options...} depends {package}").quiet().read()?;
        let names = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Fetches a package, which may be followed by `=` and a version, and unpacks it.
    pub(crate) fn unpack(&self, shell: &Shell, package: &str) -> anyhow::Result<()> {
        let Self { folder, options } = self;
        let _here = shell.push_dir(folder);
        cmd!(shell, "apt-get {options...} -q download {package}").quiet().ignore_stdout().run()?;
        let files = shell.read_dir(folder)?;
        let files: Vec<_> = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
        ensure!(files.len() == 1, "one package was wanted, and these came: {files:?}");
        for file in &files {
            cmd!(shell, "dpkg-deb -x {file} {folder}").quiet().run()?;
            shell.remove_path(file)?;
        }
        Ok(())
    }

    /// What it takes to fetch more goes: 200 MB.
    pub(crate) fn done(self, shell: &Shell) -> anyhow::Result<()> {
        shell.remove_path(self.folder.join("apt"))?;
        Ok(())
    }
}
