//! Network namespaces: which one a process is in, and doing something inside another one.

use std::{
    fs, io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    thread,
};

use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};
use watcher_core::{NetNs, Pid};

use super::capabilities;

/// That of this process: of its first thread.
///
/// # Errors
/// When `/proc` does not tell.
pub fn own() -> io::Result<NetNs> {
    inode(&fs::metadata("/proc/self/ns/net")?)
}

/// That of a process.
///
/// # Errors
/// When it is not there, or this user may not know.
pub fn of(pid: Pid) -> io::Result<NetNs> {
    inode(&fs::metadata(format!("/proc/{pid}/ns/net"))?)
}

/// Does something in the network namespace of a process, and tells in which one that was. It takes `CAP_SYS_ADMIN`, unless
/// that is the namespace of this process.
///
/// A thread of its own does it, and ends: so there is no way back that could fail. What is done must be short, since the
/// caller waits.
///
/// # Errors
/// When the namespace cannot be entered, or as what is done there says.
pub fn inside<T: Send>(pid: Pid, action: impl FnOnce() -> io::Result<T> + Send) -> io::Result<(NetNs, T)> {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net"))?;
    let netns = inode(&namespace.metadata()?)?;
    if netns == own()? {
        return Ok((netns, action()?));
    }
    let result = thread::scope(|scope| {
        let inside = move || {
            let enter = || move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            capabilities::with(CapabilitySet::SYS_ADMIN, enter)?;
            action()
        };
        let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, inside)?;
        thread.join().unwrap_or_else(|_panic| Err(io::Error::other("the thread in the namespace ended early")))
    });
    Ok((netns, result?))
}

fn inode(metadata: &fs::Metadata) -> io::Result<NetNs> {
    u32::try_from(metadata.ino()).map(NetNs).map_err(|_too_large| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::own as this;

    #[test]
    fn in_the_own_namespace_nothing_has_to_be_entered() {
        let (netns, answer) = inside(this::pid(), || Ok(7)).unwrap();
        assert_eq!((netns, answer), (own().unwrap(), 7));
        assert_eq!(of(this::pid()).unwrap(), netns);
    }
}
