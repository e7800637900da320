//! How many descriptors a process has open, and how many it may.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use watcher_core::Pid;

/// How many are open.
///
/// Since Linux 6.2 the folder tells by its size; before, its items have to be counted, which takes milliseconds for some
/// thousands.
///
/// # Errors
/// When the process is not there, or this user may not know.
pub fn open(pid: Pid) -> io::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    match fs::metadata(&folder)?.size() {
        // Empty, or a kernel that does not tell.
        0 => Ok(fs::read_dir(&folder)?.count() as u64),
        // Who may not read the folder may not know.
        count => fs::read_dir(&folder).map(|_readable| count),
    }
}

/// How many may be (the soft `RLIMIT_NOFILE`); `None`: any number.
///
/// # Errors
/// When the process is not there, or `/proc` cannot be understood.
pub fn limit(pid: Pid) -> io::Result<Option<u64>> {
    let path = format!("/proc/{pid}/limits");
    limit_in(&fs::read_to_string(&path)?).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, path))
}

fn limit_in(limits: &str) -> Option<Option<u64>> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sys::own;

    #[test]
    fn descriptors_are_counted() {
        let before = open(own::pid()).unwrap();
        let _more: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        // Other tests open and close some meanwhile.
        assert!(open(own::pid()).unwrap() > before.saturating_sub(20) + 25);
        assert!(limit(own::pid()).unwrap().is_none_or(|limit| limit >= 32));
    }

    #[test]
    fn the_soft_limit_is_taken() {
        let limits =
            |soft: &str| format!("Limit   Soft Limit  Hard Limit  Units\nMax open files   {soft}   4096   files\n");
        assert_eq!(limit_in(&limits("1024")), Some(Some(1024)));
        assert_eq!(limit_in(&limits("unlimited")), Some(None));
        assert_eq!(limit_in("Max processes 1 1\n"), None);
    }
}
