//! A look at the host: the facts by which the core judges what a pfile means here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use rustix::fs::{Access, access};
use watcher_core::pfile::{
    AbsolutePath, Bytes, Pfile,
    lint::{self, Host, PathFacts},
    select::Processes,
};

use super::{hosts, interpreter, probe::unusable_ca, trust};
use crate::sys::{proc_table, tcp};

/// Facts about all that these files name. What cannot be found out is left open.
///
/// # Errors
/// When processes cannot be listed.
pub fn host<'a>(pfiles: impl IntoIterator<Item = &'a Pfile>) -> io::Result<Host> {
    let mut host = Host { processes: Processes::new(proc_table::processes()?), ..Host::default() };
    host.listening = listening_ports().ok();
    let (mut named, mut authorities) = (BTreeSet::new(), BTreeSet::new());
    for pfile in pfiles {
        named.extend(lint::hosts(pfile));
        authorities.extend(lint::ca_files(pfile));
        if let Some(dump) = pfile.param.dump_file.as_ref().map(|dump| &dump.value) {
            host.real_paths.extend(real_path(as_path(dump)).map(|real| (dump.clone(), real)));
        }
        if let Some(dump) = pfile.param.dump_file.as_ref().map(|dump| &dump.value)
            && let Err(reason) = writable(as_path(dump))
        {
            host.unwritable.insert(dump.clone(), reason);
        }
        for entry in &pfile.entries {
            for named in [&entry.value.process.value, &entry.value.script.value] {
                if !host.paths.contains_key(named) {
                    host.paths.extend(facts(as_path(named)).map(|facts| (named.clone(), facts)));
                }
            }
            let script = &entry.value.script.value;
            if matches!(host.paths.get(script), Some(PathFacts::File { .. })) {
                host.interpreters.extend(interpreter::trouble(as_path(script)).map(|why| (script.clone(), why)));
            }
        }
    }
    host.nameless = hosts::nameless(&named);
    host.unusable_cas = unusable_cas(&authorities);
    Ok(host)
}

/// Those of these files of authorities that checks could make nothing of, and why.
#[must_use]
pub fn unusable_cas(files: &BTreeSet<AbsolutePath>) -> BTreeMap<AbsolutePath, String> {
    files.iter().filter_map(|file| Some((file.clone(), unusable_ca(file)?))).collect()
}

/// TCP ports on which somebody listens, in this network namespace.
///
/// # Errors
/// When they cannot be read.
pub fn listening_ports() -> io::Result<BTreeSet<u16>> {
    Ok(tcp::listeners()?.into_iter().map(|listener| listener.address.port()).collect())
}

fn as_path(path: &AbsolutePath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_slice()))
}

fn facts(path: &Path) -> Option<PathFacts> {
    const EXECUTABLE: u32 = 0o111;
    match fs::metadata(path) {
        Ok(data) if data.is_file() => {
            let writable_by_others = trust::open_to_others(path).is_ok_and(|open| open.is_some());
            Some(PathFacts::File { executable: data.mode() & EXECUTABLE != 0, writable_by_others })
        }
        Ok(_) => Some(PathFacts::NotAFile),
        Err(error) if is_missing(&error) => Some(PathFacts::Missing),
        // A folder that this user may not search, for one: pcheck may well know more.
        Err(_) => None,
    }
}

/// Where a file lies, or would: the folder without links, and its name.
fn real_path(path: &Path) -> Option<Bytes> {
    let place = path.canonicalize().or_else(|_| {
        let folder = path.parent().unwrap_or(path).canonicalize()?;
        Ok::<_, io::Error>(folder.join(path.file_name().unwrap_or_default()))
    });
    Some(place.ok()?.as_os_str().as_bytes().into())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

/// Whether a file can be written, or made and renamed: that takes its folder.
fn writable(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    match fs::metadata(folder) {
        Err(error) if is_missing(&error) => return Err(format!("the folder {} does not exist", folder.display())),
        Ok(data) if !data.is_dir() => return Err(format!("{} is not a folder", folder.display())),
        Ok(_) | Err(_) => {}
    }
    if path.is_dir() {
        return Err("it is a folder".to_owned());
    }
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("this user may not write into the folder {}: {error}", folder.display()))
}
