//! The skeleton of a restart script: it works where that can be known, and says what cannot.

use std::{fs, os::unix::fs::MetadataExt as _};

use watcher_core::{
    Pid,
    pfile::{
        AbsolutePath,
        select::{Process, Processes},
    },
};

use super::{
    background,
    command::{self, Command},
    output::{self, Output},
};

/// A script, and why it does nothing yet, if that is so.
pub(super) struct Script {
    /// Its text.
    pub(super) text: Vec<u8>,
    /// Why the command is not known.
    pub(super) doubt: Option<&'static str>,
    /// What the process writes goes nowhere when this has started it.
    pub(super) output_lost: bool,
}

/// A script that brings this process back, as far as can be seen from outside.
pub(super) fn skeleton(process: &Process, processes: &Processes, program: &AbsolutePath) -> Script {
    let pid = process.proc.pid;
    let name = comment(program.as_slice());
    let head = format!(
        "#!/bin/sh\n# Brings {name} back: ends what is left of it, then starts it. Run twice, it leaves one running all \
         the same.\n# Written by `watcher new` from what could be seen: read it, adapt it, and try it by hand.\n\n\
         export LANG=C\n\n"
    );
    match unit(pid) {
        Some(unit) => {
            let unit = quoted(&unit);
            // A unit starts its processes outside of pcheck's control group, and ends what is left of them itself.
            Script {
                text: format!("{head}exec systemctl restart {unit}\n").into_bytes(),
                doubt: None,
                output_lost: false,
            }
        }
        None => {
            let command = command::of(process, program.as_slice());
            let start = Start::of(process, &command);
            let text = by_command(process, processes, &command, &start, head).into_bytes();
            Script { text, doubt: command.doubt, output_lost: start.output_lost() }
        }
    }
}

fn by_command(process: &Process, processes: &Processes, command: &Command, start: &Start, head: String) -> String {
    let pid = process.proc.pid;
    let Command { words, folder, title, helpers, doubt } = command;
    let mut text = head;
    if let Some(doubt) = doubt {
        text.push_str(&format!("# What it was started by cannot be known: {doubt}.\n"));
        text.push_str("# Put all words of its command after `set --`, and then say yes here.\nknown=no\n");
    } else {
        text.push_str("# What is started. Its environment is that of pcheck: set here what it needs of its own.\n");
    }
    text.push_str(&format!("set -- {}\n", all_quoted(words)));
    if let Some(doubt) = doubt {
        text.push_str(&format!(
            "if [ \"$known\" != yes ]; then\n    printf '%s\\n' \"$0: the command is not known, because {doubt}: edit this \
             script\" >&2\n    exit 1\nfi\n"
        ));
    }
    if let Some(folder) = folder {
        text.push_str(&format!("PATH={}:$PATH\nexport PATH\n", quoted(folder)));
    }
    text.push_str(&format!("# The number of its user.\nowner={}\n", start.user));
    text.push_str("# Seconds until force is used.\npatience=10\n\n");
    let cwd =
        fs::read_link(format!("/proc/{pid}/cwd")).ok().and_then(|folder| folder.into_os_string().into_string().ok());
    text.push_str(&format!("cd {} || exit 1\n", quoted(cwd.as_deref().unwrap_or("/"))));
    match title {
        None => {
            text.push_str("\n# The words of a command line, one on a line.\n");
            text.push_str("words() {\n    tr '\\0\\n' '\\n\\001'\n    echo .\n}\n\nfirst=$1\n");
            text.push_str("wanted=$(printf '%s\\0' \"$@\" | words)\n");
        }
        Some(title) => {
            text.push_str("\n# The words of a command line, one on a line, but for empty ones at its end.\n");
            text.push_str("words() {\n    tr '\\0\\n' '\\n\\001'\n}\n\n# Its title, by which it is known.\n");
            text.push_str(&format!("first={}\n", quoted(title.first().map_or("", String::as_str))));
            text.push_str(&format!("wanted=$(printf '%s\\0' {} | words)\n", all_quoted(title)));
        }
    }
    text.push_str(OURS);
    match helpers {
        None => text.push_str("ours() {\n    masters\n}\n"),
        Some(name) => {
            let below = processes.iter().find(|other| other.parent == Some(pid));
            let helper = below.map_or(start.user, |below| owner(below.proc.pid).0);
            let exe = process.exe.as_ref().map(ToString::to_string).unwrap_or_default();
            text.push_str(
                &HELPERS
                    .replace("@NAME", &quoted(name))
                    .replace("@USER", &helper.to_string())
                    .replace("@EXE", &quoted(&exe)),
            );
        }
    }
    text.push_str(END);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.push_str(&start.text(&passwd));
    text
}

/// How it is started.
struct Start {
    user: u32,
    group: u32,
    /// Where its standard output and its standard error go.
    outputs: [Output; 2],
    /// It goes to the background by itself, and sees to its descriptors.
    is_daemon: bool,
}

impl Start {
    fn of(process: &Process, command: &Command) -> Self {
        let pid = process.proc.pid;
        let (user, group) = owner(pid);
        let outputs = [1, 2].map(|descriptor| output::of(pid, descriptor, user));
        let is_daemon = command.doubt.is_none() && background::by_itself(process, &command.words);
        Self { user, group, outputs, is_daemon }
    }

    fn output_lost(&self) -> bool {
        !self.is_daemon && self.outputs.contains(&Output::Lost)
    }

    fn text(&self, passwd: &str) -> String {
        let Self { user, group, outputs: _, is_daemon } = self;
        let mut text = if *is_daemon { String::new() } else { self.opens_its_files() };
        if *user != 0 {
            let become_it = name_of(*user, passwd).map_or_else(
                || format!("setpriv --reuid {user} --regid {group} --clear-groups --"),
                |name| format!("runuser -u {} --", quoted(name)),
            );
            text.push_str(&format!(
                "# It ran as this user; if it changes from root to it by itself, start it as root instead.\nif [ \"$(id -u)\" \
                 = 0 ]; then\n    set -- {become_it} \"$@\"\nfi\n"
            ));
        }
        text.push_str(&if *is_daemon { DAEMON.to_owned() } else { self.in_background() });
        text
    }

    /// What it has to open as its user.
    fn opens_its_files(&self) -> String {
        let opened = self.outputs.iter().zip(["", "2"]).filter_map(|(output, number)| match output {
            Output::File { path, by_user: true } => Some(format!(" {number}>>{}", quoted(path))),
            Output::File { by_user: false, .. } | Output::Lost | Output::Nowhere => None,
        });
        let opened: String = opened.collect();
        if opened.is_empty() {
            return opened;
        }
        let command = quoted(&format!("exec \"$@\"{opened}"));
        format!("# It opens its files as its user.\n# shellcheck disable=SC2016\nset -- sh -c {command} sh \"$@\"\n")
    }

    fn in_background(&self) -> String {
        const NULL: &str = ">/dev/null";
        let [out, err] = self.outputs.each_ref().map(|output| match output {
            Output::File { path, by_user: false } => format!(">>{}", quoted(path)),
            Output::File { by_user: true, .. } | Output::Lost | Output::Nowhere => NULL.to_owned(),
        });
        let redirected = if out == NULL && err == NULL { format!("{NULL} 2>&1") } else { format!("{out} 2{err}") };
        let lost = "# What it writes is thrown away, for it went to no file that was known: write `>>` and a file's name to keep it.\n";
        let lost = if self.output_lost() { lost } else { "" };
        format!("{lost}setsid \"$@\" </dev/null {redirected} &\nexit 0\n")
    }
}

const DAEMON: &str = "# It goes to the background by itself. What it says until then is logged. Where its configuration tells it \
                      to stay in\n# the foreground, write instead: setsid \"$@\" </dev/null >/dev/null 2>&1 &\n\"$@\" </dev/null\n";

fn name_of(user: u32, passwd: &str) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '-', '+']))?;
        (fields.nth(1)?.parse() == Ok(user)).then_some(name)
    })
}

/// User and group; the folder in `/proc` has the effective ones.
fn owner(pid: Pid) -> (u32, u32) {
    fs::metadata(format!("/proc/{pid}")).map_or((0, 0), |data| (data.uid(), data.gid()))
}

const OURS: &str = r#"space=$(readlink /proc/self/ns/pid)

# Whether a process is of this user, and of this pid namespace as far as can be seen; and not this script.
is_near() {
    [ "$1" != "/proc/$$" ] || return 1
    [ "$(stat -c %u "$1")" = "$2" ] || return 1
    theirs=$(readlink "$1/ns/pid") || return 0
    [ "$theirs" = "$space" ]
}

# Every process with exactly this command line, by number.
masters() {
    grep -lszxF -e "$first" /proc/[0-9]*/cmdline | while IFS= read -r file; do
        process=${file%/cmdline}
        if [ "$(words <"$file")" = "$wanted" ] && is_near "$process" "$owner"; then
            echo "${process#/proc/}"
        fi
    done
}

# All that has to go.
"#;

const HELPERS: &str = r#"ours() {
    masters
    helpers
}

# Its workers, and those whose master has gone; not those of another master that lives.
name=@NAME
helpers() {
    grep -lszF -e "$name: worker process" -e "$name: cache manager process" -e "$name: cache loader process" \
        /proc/[0-9]*/cmdline | while IFS= read -r file; do
        process=${file%/cmdline}
        is_near "$process" @USER || continue
        exe=$(readlink "$process/exe")
        [ "${exe% (deleted)}" = @EXE ] || continue
        case $(words <"$file") in
            "$name: worker process"* | "$name: cache "*) ;;
            *) continue ;;
        esac
        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$process/status")
        case $(words <"/proc/$parent/cmdline") in
            "$wanted") ;;
            "$name: master process"*) continue ;;
        esac
        echo "${process#/proc/}"
    done
}
"#;

const END: &str = r#"
signal_all() {
    for process in $(ours); do
        kill -s "$1" "$process"
    done
}

# Politely, and when patience is at its end by force: workers outlive a master that was killed, and hold the port.
end_all() {
    signal_all TERM
    left=$patience
    while [ -n "$(ours)" ] && [ "$left" -gt 0 ]; do
        left=$((left - 1))
        sleep 1
    done
    left=10
    while [ -n "$(ours)" ]; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        signal_all KILL
        sleep 1
    done
}

if ! end_all 2>/dev/null; then
    printf '%s\n' "$0: what is left of it does not end" >&2
    exit 1
fi

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
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn all_quoted(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
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
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    fn start(user: u32, group: u32) -> Start {
        Start { user, group, outputs: [Output::Nowhere, Output::Nowhere], is_daemon: false }
    }

    #[test]
    fn it_is_started_as_the_user_that_it_ran_as() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# note:x:33:33\nwww-data:x:33:33:www-data:/var/www:/bin/false\n";
        assert_eq!(start(0, 0).text(passwd), "setsid \"$@\" </dev/null >/dev/null 2>&1 &\nexit 0\n");
        assert!(start(33, 33).text(passwd).contains("set -- runuser -u 'www-data' -- \"$@\"\n"));
        let unnamed = start(34, 35).text(passwd);
        assert!(unnamed.contains("set -- setpriv --reuid 34 --regid 35 --clear-groups -- \"$@\"\n"), "{unnamed}");
    }

    #[test]
    fn it_writes_where_it_wrote() {
        let file = |path: &str, by_user| Output::File { path: path.to_owned(), by_user };
        let with = |user, outputs| Start { outputs, ..start(user, user) };
        let both = with(0, [file("/log/a b", false), file("/log/err", false)]);
        assert_eq!(both.text(""), "setsid \"$@\" </dev/null >>'/log/a b' 2>>'/log/err' &\nexit 0\n");
        let one = with(0, [Output::Lost, file("/log/err", false)]);
        assert!(one.output_lost() && one.text("").contains("thrown away"), "{}", one.text(""));
        assert!(one.text("").contains("</dev/null >/dev/null 2>>'/log/err' &\n"), "{}", one.text(""));
        // Root must not follow a link that the user may have put there.
        let own = with(33, [file("/home/log", true), Output::Nowhere]).text("");
        let opened = quoted("exec \"$@\" >>'/home/log'");
        assert!(own.contains(&format!("set -- sh -c {opened} sh \"$@\"\n")), "{own}");
        assert!(own.contains("setsid \"$@\" </dev/null >/dev/null 2>&1 &\n"), "{own}");
    }

    #[test]
    fn a_daemon_is_waited_for_until_it_goes_to_the_background() {
        let daemon = Start { is_daemon: true, outputs: [Output::Lost, Output::Lost], ..start(0, 0) };
        assert!(!daemon.output_lost(), "it has seen to that by itself");
        assert!(daemon.text("").ends_with("\n\"$@\" </dev/null\n"), "{}", daemon.text(""));
    }
}
