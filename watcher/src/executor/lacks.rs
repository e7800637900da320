//! What does not work on this host with the sockets of watched ports: the operator is told each once.

use std::{collections::BTreeSet, io};

use crate::kernel::NotWatched;

/// Sentences that were told, and those that are to be.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    told: BTreeSet<String>,
    new: Vec<String>,
}

impl Lacks {
    pub(super) fn not_told(&mut self, error: &NotWatched) {
        self.tell(format!(
            "Sockets of watched ports are looked at now and then only, since the kernel does not tell of them: {error}"
        ));
    }

    pub(super) fn no_sock_diag(&mut self, error: &io::Error) {
        self.tell(format!(
            "Sockets of watched ports are read in /proc, which tells neither how many fit into an accept queue nor who was \
             turned away: sock_diag cannot be used: {error}"
        ));
    }

    /// Those that were not told yet.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }

    fn tell(&mut self, sentence: String) {
        if self.told.insert(sentence.clone()) {
            self.new.push(sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once() {
        let mut lacks = Lacks::default();
        for _ in 0..2 {
            lacks.not_told(&NotWatched::Full(3));
            lacks.not_told(&NotWatched::Full(3));
            lacks.no_sock_diag(&io::ErrorKind::PermissionDenied.into());
        }
        let told = lacks.take();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].ends_with("3 ports are watched, and there is room for no more"), "{told:?}");
        lacks.not_told(&NotWatched::Full(3));
        assert_eq!(lacks.take(), [""; 0]);
    }
}
