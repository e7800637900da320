//! What a running process was started by, as far as that can be known.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use watcher_core::{Pid, pfile::select::Process};

use crate::sys::{own, proc_table};

/// How to start it, and how to know it by its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// What to start.
    pub(super) words: Vec<String>,
    /// Where the program lies, if the first word does not say it.
    pub(super) folder: Option<String>,
    /// What its command line shows instead, if it has changed that.
    pub(super) title: Option<Vec<String>>,
    /// The name that its helpers have in front of theirs, as in `nginx: worker process`.
    pub(super) helpers: Option<String>,
    /// Why the words are not to be relied on.
    pub(super) doubt: Option<&'static str>,
}

/// The command of a process.
pub(super) fn of(process: &Process, program: &[u8]) -> Command {
    let pid = process.proc.pid;
    let mut shown: Vec<String> = Vec::new();
    let mut doubt = None;
    for word in proc_table::command_line(pid).unwrap_or_default() {
        match String::from_utf8(word) {
            Ok(word) => shown.push(word),
            Err(_) => doubt = Some("its command line is not UTF-8"),
        }
    }
    let space = |pid: Pid| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    if space(pid).is_some_and(|theirs| space(own::pid()).is_some_and(|ours| ours != theirs)) {
        doubt = Some("it runs in another pid namespace, such as a container's");
    }
    let leads = |word: &str| leads_to(word, process);
    let command = understand(shown, &String::from_utf8_lossy(program), leads);
    Command { doubt: doubt.or(command.doubt), ..command }
}

/// Where a first word leads to the program: in which folder to look for it, if it is a mere name.
enum Leads {
    Directly,
    In(String),
}

fn understand(shown: Vec<String>, program: &str, leads: impl Fn(&str) -> Option<Leads>) -> Command {
    let folder_of = |leads| match leads {
        Leads::Directly => None,
        Leads::In(folder) => Some(folder),
    };
    if let Some(found) = shown.first().and_then(|first| leads(first)) {
        return Command { words: shown, folder: folder_of(found), ..Command::default() };
    }
    // What is left of longer words stands behind a title.
    let mut title = shown;
    title.truncate(title.iter().rposition(|word| !word.is_empty()).map_or(0, |last| last + 1));
    let master = title.first().filter(|_| title.len() == 1).and_then(|title| title.split_once(": master process "));
    if let Some((name, command)) = master {
        let words = joined(command);
        if let Some(found) = words.first().and_then(|first| leads(first)) {
            let helpers = Some(name.to_owned());
            return Command { words, folder: folder_of(found), title: Some(title), helpers, doubt: None };
        }
    }
    let doubt = Some("it has changed its title since it was started");
    Command { words: vec![program.to_owned()], title: Some(title), doubt, ..Command::default() }
}

/// Words that were joined with blanks: what follows `-g`, up to its last `;`, was one.
fn joined(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = command.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = rest.next() {
        words.push(word.to_owned());
        if word != "-g" {
            continue;
        }
        let mut value = Vec::new();
        while let Some(part) = rest.next() {
            value.push(part);
            if part.ends_with(';') && rest.peek().is_none_or(|next| next.starts_with('-')) {
                break;
            }
        }
        words.push(value.join(" "));
    }
    words
}

fn leads_to(word: &str, process: &Process) -> Option<Leads> {
    let pid = process.proc.pid;
    let Some(exe) = process.exe.as_ref().map(|exe| Path::new(std::ffi::OsStr::from_bytes(exe.as_slice()))) else {
        // It may not be known: a path is the best there is.
        return (word.starts_with('/') && Path::new(word).is_file()).then_some(Leads::Directly);
    };
    let is_exe = |path: &Path| path == exe || path.canonicalize().is_ok_and(|path| path == exe);
    if word.is_empty() {
        return None;
    }
    if word.contains('/') {
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| PathBuf::from("/"));
        return is_exe(&folder.join(word)).then_some(Leads::Directly);
    }
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let path = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"PATH="));
    let path = path.map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default();
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let beside = exe.parent().and_then(Path::to_str).unwrap_or_default();
    let mut folders = path.split(':').chain(usual.split(':')).chain([beside]);
    let folder = folders.find(|folder| folder.starts_with('/') && is_exe(&Path::new(folder).join(word)))?;
    Some(Leads::In(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(shown: &[&str]) -> Command {
        let leads = |word: &str| match word {
            "/usr/sbin/nginx" | "./nginx" => Some(Leads::Directly),
            "nginx" => Some(Leads::In("/usr/sbin".to_owned())),
            _ => None,
        };
        understand(shown.iter().map(|word| (*word).to_owned()).collect(), "/usr/sbin/nginx", leads)
    }

    #[test]
    fn a_command_is_taken_as_it_is() {
        assert_eq!(understood(&["/usr/sbin/nginx", "a b", ""]).words, ["/usr/sbin/nginx", "a b", ""]);
        let Command { words, folder, title, doubt, .. } = understood(&["nginx", "-t"]);
        assert_eq!(words, ["nginx", "-t"]);
        assert_eq!((folder.as_deref(), title, doubt), (Some("/usr/sbin"), None, None));
    }

    #[test]
    fn the_title_of_a_master_says_its_command() {
        let title = "nginx: master process nginx -c /path -g daemon off;";
        let Command { words, folder, title: shown, helpers, doubt } = understood(&[title, "", ""]);
        assert_eq!(words, ["nginx", "-c", "/path", "-g", "daemon off;"]);
        assert_eq!((folder.as_deref(), helpers.as_deref(), doubt), (Some("/usr/sbin"), Some("nginx"), None));
        assert_eq!(shown.unwrap(), [title]);
        let two = understood(&["nginx: master process ./nginx -g daemon off; worker_processes 2; -p /srv"]);
        assert_eq!(two.words, ["./nginx", "-g", "daemon off; worker_processes 2;", "-p", "/srv"]);
    }

    #[test]
    fn any_other_title_leaves_the_command_unknown() {
        for title in ["php-fpm: master process (/etc/php-fpm.conf)", "gunicorn: master [app]", "sshd: nginx -D"] {
            let Command { words, doubt, .. } = understood(&[title]);
            assert_eq!(words, ["/usr/sbin/nginx"], "{title}");
            assert!(doubt.is_some(), "{title}");
        }
    }
}
