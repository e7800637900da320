//! What a script is told, and in which environment: the contract in `rules/README.md`.

use std::{
    env,
    ffi::{CString, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use watcher_core::{Ending, ScriptOrder};

/// Where programs are looked for when nobody says.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// By which a script knows its pfile: two of them may have the same entry.
pub(super) const IPC_KEY: &str = "PS_IPCKEY";

/// The key of the pfile whose folder this is, as scripts are told.
pub(super) fn ipc_key(folder: Option<&Path>) -> Vec<u8> {
    let name = folder.and_then(Path::file_name);
    name.map_or_else(Vec::new, |name| [b"0x", name.as_bytes()].concat())
}

/// The whole environment of a script of the pfile with this folder.
pub(super) fn of(order: &ScriptOrder, folder: Option<&Path>) -> Vec<CString> {
    let told = told(order).into_iter().chain([(IPC_KEY, ipc_key(folder))]);
    let told: Vec<_> = told.collect();
    let ours = |name: &OsString| told.iter().any(|(own, _)| name == own) || is_for_us_alone(name);
    let inherited: Vec<_> = env::vars_os().filter(|(name, _)| !ours(name)).collect();
    let path = (!inherited.iter().any(|(name, _)| name == "PATH")).then(|| ("PATH".into(), PATH.into()));
    let told = told.into_iter().map(|(name, value)| (name.into(), OsString::from_vec(value)));
    let all = inherited.into_iter().chain(path).chain(told);
    all.filter_map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()).collect()
}

/// What systemd and operators tell pcheck, and nobody else: a service would answer in its name, or take its sockets.
fn is_for_us_alone(name: &OsString) -> bool {
    let name = name.as_encoded_bytes();
    [b"NOTIFY_SOCKET".as_slice(), b"WATCHER_LOG"].contains(&name)
        || [b"WATCHDOG_".as_slice(), b"LISTEN_"].iter().any(|prefix| name.starts_with(prefix))
}

/// All of them are always there, empty when nothing is known: what pcheck has inherited would tell of another process.
fn told(order: &ScriptOrder) -> [(&'static str, Vec<u8>); 8] {
    let ScriptOrder { run: _, entry: _, number, script: _, process, old, retry_count, reason, ending, cause } = order;
    let (exit_code, signal) = match ending {
        Ending::Exited { code } => (code.to_string(), String::new()),
        Ending::Killed { signal, core_dumped: _ } => (String::new(), signal.to_string()),
        Ending::Unknown => (String::new(), String::new()),
    };
    [
        ("PS_PNAME", process.as_slice().to_vec()),
        ("PS_PENT_ID", number.to_string().into_bytes()),
        ("PS_PID", old.map_or_else(Vec::new, |old| old.to_string().into_bytes())),
        ("PS_RETRY_COUNT", retry_count.to_string().into_bytes()),
        ("PS_REASON", reason.name().into()),
        ("PS_CAUSE", cause.clone().unwrap_or_default().into_bytes()),
        ("PS_EXIT_CODE", exit_code.into_bytes()),
        ("PS_SIGNAL", signal.into_bytes()),
    ]
}

#[cfg(test)]
mod tests {
    use watcher_core::{Pid, Signal};

    use super::*;
    use crate::executor::scripts::tests::order;

    #[test]
    fn a_script_is_told_what_is_known() {
        let mut order = order("/script");
        order.old = Pid::new(4711);
        order.cause = Some("killed by SIGKILL from pid 1 (init)".to_owned());
        order.ending = Ending::Killed { signal: Signal(9), core_dumped: false };
        let environment = of(&order, Some(Path::new("/run/watcher/0000000a")));
        let has = |line: &str| environment.iter().any(|variable| variable.to_str() == Ok(line));
        for line in [
            "PS_PNAME=/usr/bin/java",
            "PS_PENT_ID=1",
            "PS_IPCKEY=0x0000000a",
            "PS_PID=4711",
            "PS_RETRY_COUNT=2",
            "PS_REASON=down",
            "PS_CAUSE=killed by SIGKILL from pid 1 (init)",
            "PS_EXIT_CODE=",
            "PS_SIGNAL=SIGKILL",
        ] {
            assert!(has(line), "{line} is missing in {environment:?}");
        }
        assert!(environment.iter().any(|variable| variable.to_bytes().starts_with(b"PATH=")));
    }

    #[test]
    fn what_is_for_pcheck_alone_is_kept_back() {
        let kept_back = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "WATCHER_LOG"];
        assert!(kept_back.into_iter().all(|name| is_for_us_alone(&name.into())));
        assert!(["LANG", "NOTIFY", "PATH", "WATCHER"].into_iter().all(|name| !is_for_us_alone(&name.into())));
    }
}
