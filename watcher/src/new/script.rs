//! The skeleton of a restart script: it works where that can be known, and says what cannot.

use std::{fs, os::unix::fs::MetadataExt as _};

use watcher_core::{
    Pid,
    pfile::{AbsolutePath, select::Process},
};

use crate::sys::proc_table;

/// A script that brings this process back, as far as can be seen from outside.
pub(super) fn skeleton(process: &Process, program: &AbsolutePath) -> Vec<u8> {
    let pid = process.proc.pid;
    let name = comment(program.as_slice());
    let head = format!(
        "#!/bin/sh\n# Brings {name} back. pcheck runs this when the process has gone, and looks for it afterwards.\n\
         # Written by `watcher new` from what could be seen: read it, adapt it, and try it by hand.\n\n\
         export LANG=C\n\n"
    );
    match unit(pid) {
        Some(unit) => {
            let unit = quoted(unit.as_bytes());
            // A unit starts its processes outside of pcheck's control group, and ends what is left of them itself.
            format!("{head}exec systemctl restart {unit}\n").into_bytes()
        }
        None => by_command(pid, program, head),
    }
}

fn by_command(pid: Pid, program: &AbsolutePath, head: String) -> Vec<u8> {
    let words = proc_table::command_line(pid).unwrap_or_default();
    // A title that a process has set itself is no command.
    let is_command = words.first().is_some_and(|first| first == program.as_slice());
    let arguments = if is_command { words.get(1..).unwrap_or_default() } else { &[] };
    let mut command = quoted(program.as_slice());
    for argument in arguments {
        command.push(' ');
        command.push_str(&quoted(argument));
    }
    let mut text = head;
    let folder =
        fs::read_link(format!("/proc/{pid}/cwd")).ok().and_then(|folder| folder.into_os_string().into_string().ok());
    text.push_str("# Its command line: what runs already is not started a second time.\n");
    text.push_str(&format!("set -- {command}\n"));
    if !is_command {
        text.push_str("# It has changed its title since: add the arguments that it was started with.\n");
    }
    let owner = fs::metadata(format!("/proc/{pid}")).map_or(0, |data| data.uid());
    if owner != 0 {
        text.push_str(&format!("# It ran as user {owner}: under root, start it by `runuser -u NAME -- \"$@\"`.\n"));
    }
    text.push_str(&format!("cd {} || exit 1\n", quoted(folder.as_deref().unwrap_or("/").as_bytes())));
    text.push_str(RUNNING);
    text.into_bytes()
}

const RUNNING: &str = r#"
wanted=$(printf '%s\n' "$@")
for process in /proc/[0-9]*; do
    if [ "$(tr '\0' '\n' 2>/dev/null <"$process/cmdline")" = "$wanted" ]; then
        exit 0
    fi
done 2>/dev/null

# Children that the old process left behind, and that hold its port or its files, would have to be ended here.

setsid "$@" </dev/null >/dev/null 2>&1 &
exit 0
"#;

/// The system's unit that a process belongs to, if it does; units of a user's session are none of root's.
fn unit(pid: Pid) -> Option<String> {
    unit_of(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?).map(str::to_owned)
}

fn unit_of(groups: &str) -> Option<&str> {
    let named = |line: &'_ str| line.starts_with("0::") || line.contains(":name=systemd:");
    let line = groups.lines().find(|line| named(line) && line.contains(":/system.slice/"))?;
    line.split('/').find(|part| part.ends_with(".service"))
}

/// For `sh`: nothing in it means anything.
fn quoted(word: &[u8]) -> String {
    format!("'{}'", String::from_utf8_lossy(word).replace('\'', r"'\''"))
}

fn comment(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_units_of_the_system_are_restarted_as_such() {
        assert_eq!(unit_of("0::/system.slice/nginx.service\n"), Some("nginx.service"));
        assert_eq!(unit_of("5:cpu:/x\n1:name=systemd:/system.slice/db.service/worker\n"), Some("db.service"));
        assert_eq!(unit_of("0::/user.slice/user-0.slice/user@0.service/app.slice/a.service\n"), None);
        assert_eq!(unit_of("0::/\n"), None);
    }

    #[test]
    fn words_are_quoted_for_sh() {
        assert_eq!(quoted(b"a b"), "'a b'");
        assert_eq!(quoted(b"it's $HOME"), r"'it'\''s $HOME'");
    }
}
