//! Whether the hosts that files name have addresses: found out before anything depends on it, and in bounded time, since a
//! resolver may be silent for as long as it likes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use rustix::thread::CapabilitySet;
use watcher_core::pfile::{Bytes, lint::Nameless};

use super::probe::needs_resolver;
use crate::sys::{capabilities, resolver};

/// So many names are looked up at once.
const THREADS: usize = 8;

/// So long all of it may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Those of these hosts that have no address.
#[must_use]
pub fn nameless(hosts: &BTreeSet<Bytes>) -> BTreeMap<Bytes, Nameless> {
    let names: Vec<_> = hosts.iter().filter(|host| needs_resolver(host)).cloned().collect();
    let unanswered = || Nameless::Unanswered("the resolver does not answer".to_owned());
    let mut open: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), unanswered())).collect();
    if names.is_empty() {
        return open;
    }
    let (found, answers) = sync_channel(names.len());
    for share in names.chunks(names.len().div_ceil(THREADS)) {
        let (share, found) = (share.to_vec(), found.clone());
        let look_up = move || {
            // What comes from a network is taken apart without any power. Where it cannot be given up, nothing is lost.
            let none = CapabilitySet::empty();
            let _gave_up = capabilities::keep(none, none, none);
            for name in share {
                let answer = resolver::addresses(name.as_slice());
                if found.send((name, answer)).is_err() {
                    return;
                }
            }
        };
        // Not waited for: it ends when the resolver gives up. Where no thread can be had, nobody answers.
        let _thread = thread::Builder::new().name("names".to_owned()).spawn(look_up);
    }
    drop(found);
    let until = Instant::now() + LIMIT;
    while let Ok((name, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match answer {
            Ok(_) => {
                open.remove(&name);
            }
            Err(error) if error.is_final() => {
                open.insert(name, Nameless::Unknown(error.why));
            }
            Err(error) => {
                open.insert(name, Nameless::Unanswered(error.why));
            }
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver_and_names_do() {
        let hosts = ["127.0.0.1", "localhost", "no.such.host.invalid"].map(Bytes::from).into_iter().collect();
        let nameless = nameless(&hosts);
        let names: Vec<_> = nameless.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["no.such.host.invalid"], "{nameless:?}");
    }
}
