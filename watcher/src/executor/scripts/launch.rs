//! The start of a script. It may take as long as the file system of the script likes, so it is not done by the thread that
//! runs everything else.

use std::{
    ffi::{CString, OsStr},
    fs::{self, File},
    io,
    os::{
        fd::AsFd as _,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use watcher_core::{ProcId, ScriptOrder};

use super::{environment, output::Output};
use crate::{
    executor::{interpreter, trust},
    sys::{
        group::Leader,
        proc,
        spawn::{self, NotSpawned, Program},
    },
};

/// A script that runs.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) leader: Leader,
    /// Unknown when `/proc` does not show even our own child.
    pub(super) proc: Option<ProcId>,
    pub(super) output: Option<Output>,
    /// Why its output cannot be kept, as a sentence.
    pub(super) no_output: Option<String>,
}

/// Starts a script.
///
/// # Errors
/// When it cannot be run: why, as a sentence.
pub(super) fn launch(order: &ScriptOrder, output: Option<PathBuf>) -> Result<Launched, String> {
    let path = Path::new(OsStr::from_bytes(order.script.as_slice()));
    check(path)?;
    let null = || {
        fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|error| format!("/dev/null: {error}"))
    };
    let input = null()?;
    let folder = output.as_ref().and_then(|output| Some(output.parent()?.to_owned()));
    let (output, file, no_output) = match output.map(|path| Output::make(path.clone()).map_err(|error| (path, error))) {
        None => (None, null()?, None),
        Some(Ok((output, file))) => (Some(output), file, None),
        Some(Err((path, error))) => {
            let sentence =
                format!("the output of {} is lost: {} cannot be made: {error}", order.script, path.display());
            (None, null()?, Some(sentence))
        }
    };
    let leader = Leader::of_session(spawn((order, folder.as_deref()), path, &input, &file)?);
    let proc = proc::facts(leader.pid()).ok().flatten().map(|facts| facts.proc);
    Ok(Launched { leader, proc, output, no_output })
}

fn spawn(
    (order, folder): (&ScriptOrder, Option<&Path>),
    path: &Path,
    input: &File,
    output: &File,
) -> Result<watcher_core::Pid, String> {
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|_nul| "its path has a byte of value zero".to_owned())?;
    let environment = environment::of(order, folder);
    let program = Program { path: &name, environment: &environment, input: input.as_fd(), output: output.as_fd() };
    spawn::session(&program).map_err(|failed| match failed {
        // The file was there a moment ago.
        NotSpawned::NotRun(error) if error.kind() == io::ErrorKind::NotFound => {
            "the interpreter that its first line names does not exist".to_owned()
        }
        NotSpawned::NotRun(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "it or the interpreter that its first line names may not be executed, or lies on a file system that is mounted noexec"
                .to_owned()
        }
        NotSpawned::NotRun(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
            "somebody is writing it at this moment".to_owned()
        }
        failed @ (NotSpawned::NoProcess(_) | NotSpawned::NotReady(_) | NotSpawned::NotRun(_)) => failed.to_string(),
    })
}

/// Whether a script can be run, as far as that can be told without running it.
///
/// # Errors
/// Why not, as a sentence: better than the kernel's error says it.
pub fn check(path: &Path) -> Result<(), String> {
    const EXECUTABLE: u32 = 0o111;
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("it does not exist".to_owned()),
        Err(error) => return Err(format!("it cannot be looked at: {error}")),
    };
    if !data.is_file() {
        return Err("it is not a file".to_owned());
    }
    if data.mode() & EXECUTABLE == 0 {
        return Err(format!("it is not executable (chmod 755 {})", path.display()));
    }
    if rustix::process::geteuid().is_root()
        && let Some(open) = trust::open_to_others(path).map_err(|error| format!("it cannot be looked at: {error}"))?
    {
        return Err(format!("others than root may change what root would run: {open}"));
    }
    interpreter::trouble(path).map_or(Ok(()), Err)
}
