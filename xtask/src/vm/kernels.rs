//! Kernels out of Debian's mirror: the cloud flavour, which is small, starts fast, and has BTF and a serial console.
//!
//! The packages are listed in an apt state of our own, so that this machine's apt knows nothing of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use xshell::{Shell, cmd};

use crate::{say, workspace};

/// Where kernels come from, oldest first: suite, and whether it belongs to the security archive.
const SUITES: [(&str, bool); 5] = [
    ("bullseye-security", true),
    ("bookworm-security", true),
    ("trixie-security", true),
    ("trixie-backports", false),
    ("sid", false),
];

/// What the tests need and the cloud flavour has as modules, in the order in which they can be loaded.
const MODULES: [&str; 4] = ["inet_diag", "tcp_diag", "unix_diag", "veth"];

/// As many packages of a series are tried: the mirror lists some that it no longer has.
const TRIES: usize = 6;

/// A kernel to boot.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) series: String,
    /// The version of its package.
    pub(super) version: String,
    pub(super) image: PathBuf,
    /// In the order in which they are loaded.
    pub(super) modules: Vec<PathBuf>,
}

/// The kernels that are here afterwards, and why each of the others is not.
pub(super) type Found = Vec<Result<Kernel, (String, String)>>;

/// Gets so many of these kernels, in this order: a series such as 6.1, or `newest`. One that is here already is taken as it
/// is.
pub(super) fn get(shell: &Shell, wanted: &[String], enough: usize) -> anyhow::Result<Found> {
    let folder = workspace::target()?.join("vm/kernels");
    shell.create_dir(&folder)?;
    let apt = Apt::at(shell, &folder)?;
    let mut found = Found::new();
    for series in wanted {
        if found.iter().flatten().count() == enough {
            break;
        }
        let series = if series == "newest" { apt.newest()? } else { series.clone() };
        if found.iter().flatten().any(|kernel| kernel.series == series) {
            continue;
        }
        let place = folder.join(&series);
        if !place.join("version").is_file()
            && let Err(reason) = apt.install(shell, &series, &place)
        {
            found.push(Err((series, format!("{reason:#}"))));
            continue;
        }
        let kernel = at(&series, &place)?;
        say(&format!("{series}: {}", kernel.version));
        found.push(Ok(kernel));
    }
    Ok(found)
}

fn at(series: &str, place: &Path) -> anyhow::Result<Kernel> {
    let version = fs::read_to_string(place.join("version"))?;
    let modules = MODULES.map(|name| place.join(format!("{name}.ko")));
    let modules = modules.into_iter().filter(|module| module.is_file()).collect();
    Ok(Kernel { series: series.to_owned(), version, image: place.join("vmlinuz"), modules })
}

/// An apt that knows these suites only, and keeps all it has in one folder.
struct Apt {
    options: Vec<String>,
    /// Names and versions of packages with kernels.
    packages: Vec<(String, String)>,
}

impl Apt {
    fn at(shell: &Shell, folder: &Path) -> anyhow::Result<Self> {
        let here = folder.join("apt");
        for part in ["state/lists/partial", "cache/archives/partial"] {
            shell.create_dir(here.join(part))?;
        }
        let (sources, status, list) = (here.join("sources.list"), here.join("state/status"), here.join("packages"));
        let options = [
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State={}", here.join("state").display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={}", here.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        let mut apt = Self { options: options.map(|option| format!("-o{option}")).to_vec(), packages: Vec::new() };
        if !list.is_file() {
            shell.write_file(&status, "")?;
            shell.write_file(&sources, source_lines(shell)?)?;
            let options = &apt.options;
            say("asking the mirror for its kernels");
            let updated = cmd!(shell, "apt-get {options...} -q update").quiet().ignore_stdout().ignore_stderr().run();
            let known = cmd!(shell, "apt-cache {options...} dumpavail").quiet().read()?;
            apt.packages = kernel_packages(&known);
            // A suite comes to its end and is gone one day; the others are of use all the same.
            match updated {
                Ok(()) => shell.write_file(&list, lines(&apt.packages))?,
                Err(_) => say("the mirror does not have all suites; it is asked anew next time"),
            }
        } else {
            let pair = |line: &str| line.split_once(' ').map(|(name, version)| (name.to_owned(), version.to_owned()));
            apt.packages = fs::read_to_string(list)?.lines().filter_map(pair).collect();
        }
        ensure!(!apt.packages.is_empty(), "the mirror lists no kernels; {} says where it was asked", sources.display());
        Ok(apt)
    }

    fn newest(&self) -> anyhow::Result<String> {
        let series = self.packages.iter().filter_map(|(name, _)| series_of(name));
        series.max_by_key(|series| numbers(series)).map(str::to_owned).context("the mirror lists no kernels")
    }

    /// The newest one of a series that can still be had.
    fn install(&self, shell: &Shell, series: &str, place: &Path) -> anyhow::Result<()> {
        let listed = |name: &str| self.packages.iter().any(|(package, _)| package == name);
        // Where image and modules are packages of their own, `linux-image` is empty.
        let of_series = |(name, _): &&(String, String)| {
            let whole = name.strip_prefix("linux-image-");
            series_of(name) == Some(series)
                && !name.starts_with("linux-modules-")
                && whole.is_none_or(|release| !listed(&format!("linux-binary-{release}")))
        };
        let mut candidates: Vec<_> = self.packages.iter().filter(of_series).collect();
        candidates.sort_by_key(|(_, version)| std::cmp::Reverse(numbers(version)));
        if candidates.is_empty() {
            bail!("the mirror lists none");
        }
        for (name, version) in candidates.into_iter().take(TRIES) {
            let modules = name.strip_prefix("linux-binary-").map(|release| format!("linux-modules-{release}"));
            let packages: Vec<_> = [Some(name.clone()), modules].into_iter().flatten().collect();
            if self.unpack(shell, &packages, place).is_ok() {
                shell.write_file(place.join("version"), version)?;
                return Ok(());
            }
        }
        bail!("the mirror lists it, but no longer has it")
    }

    fn unpack(&self, shell: &Shell, packages: &[String], place: &Path) -> anyhow::Result<()> {
        let options = &self.options;
        shell.remove_path(place)?;
        let unpacked = place.join("unpacked");
        shell.create_dir(&unpacked)?;
        for package in packages {
            let _there = shell.push_dir(place);
            cmd!(shell, "apt-get {options...} -q download {package}").quiet().ignore_stdout().ignore_stderr().run()?;
        }
        for package in shell.read_dir(place)?.iter().filter(|path| path.extension().is_some_and(|kind| kind == "deb")) {
            cmd!(shell, "dpkg-deb -x {package} {unpacked}").quiet().run()?;
            shell.remove_path(package)?;
        }
        let image = find(&unpacked, &|name| name.starts_with("vmlinuz")).context("no kernel in the package")?;
        fs::rename(image, place.join("vmlinuz"))?;
        for module in MODULES {
            // Named after what compresses it.
            let Some(found) = find(&unpacked, &|name| name.starts_with(&format!("{module}.ko"))) else { continue };
            if found.extension().is_some_and(|kind| kind == "xz") {
                cmd!(shell, "xz -d {found}").quiet().run()?;
            }
            fs::rename(found.with_file_name(format!("{module}.ko")), place.join(format!("{module}.ko")))?;
        }
        shell.remove_path(unpacked)?;
        Ok(())
    }
}

/// The mirrors that this machine uses, with our suites.
fn source_lines(shell: &Shell) -> anyhow::Result<String> {
    const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let format = "$(REPO_URI)";
    let known = cmd!(shell, "apt-get indextargets --format {format}").quiet().read()?;
    let mirror = |security: bool| known.lines().find(|uri| uri.contains("security") == security);
    let main = mirror(false).unwrap_or("http://deb.debian.org/debian");
    let security = mirror(true).unwrap_or("http://deb.debian.org/debian-security");
    let line = |(suite, is_security): (&str, bool)| {
        let uri = if is_security { security } else { main };
        format!("deb [signed-by={KEYS}] {uri} {suite} main\n")
    };
    Ok(SUITES.map(line).concat())
}

/// Names and versions of packages with kernels of our flavour, out of everything that apt knows.
fn kernel_packages(known: &str) -> Vec<(String, String)> {
    let mut packages = Vec::new();
    let mut name = "";
    for line in known.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = package;
        }
        if let Some(version) = line.strip_prefix("Version: ")
            && series_of(name).is_some()
        {
            packages.push((name.to_owned(), version.to_owned()));
        }
    }
    packages
}

fn lines(packages: &[(String, String)]) -> String {
    packages.iter().map(|(name, version)| format!("{name} {version}\n")).collect()
}

/// `6.1` for `linux-image-6.1.0-56-cloud-amd64`; none for other packages, meta packages among them.
fn series_of(package: &str) -> Option<&str> {
    let release =
        ["linux-image-", "linux-binary-", "linux-modules-"].iter().find_map(|kind| package.strip_prefix(kind))?;
    let version = release.strip_suffix("-cloud-amd64")?;
    let dots: Vec<_> = version.match_indices('.').map(|(at, _)| at).collect();
    let series = version.get(..*dots.get(1)?)?;
    numbers(series).get(1)?;
    Some(series)
}

/// All numbers in a version, for comparing.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn find(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().collect();
    let here = entries.iter().find(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file()) && entry.file_name().to_str().is_some_and(wanted)
    });
    let below = || {
        let folders = entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.map(std::fs::DirEntry::path).find_map(|path| find(&path, wanted))
    };
    here.map(std::fs::DirEntry::path).or_else(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_from_names_of_packages() {
        assert_eq!(series_of("linux-image-6.1.0-56-cloud-amd64"), Some("6.1"));
        assert_eq!(series_of("linux-binary-7.3.4+deb13-cloud-amd64"), Some("7.3"));
        for other in
            ["linux-image-6.1-cloud-amd64", "linux-image-6.1.0-56-amd64", "linux-image-cloud-amd64", "linux-doc"]
        {
            assert_eq!(series_of(other), None, "{other}");
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("6.12.9-1") < numbers("6.12.117-1"));
        assert!(numbers("5.10") < numbers("6.1") && numbers("6.1") < numbers("6.12"));
    }
}
