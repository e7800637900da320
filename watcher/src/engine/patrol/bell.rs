//! Which of many posts has something to do: each has a bell, and only those are asked whose bell has rung.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::sync::Notify;
use watcher_core::{Event, FleetId};

use super::post::Post;
use crate::executor::scripts::Line;

/// The bell of one post. Whatever it waits for rings it.
#[derive(Debug)]
pub(super) struct Bell {
    has_rung: AtomicBool,
    somewhere: Arc<Notify>,
}

/// All bells, behind one ear.
#[derive(Debug, Default)]
pub(super) struct Bells {
    somewhere: Arc<Notify>,
    /// Who was asked last.
    last: Option<FleetId>,
}

impl Bells {
    /// One more.
    pub(super) fn make(&self) -> Arc<Bell> {
        Arc::new(Bell { has_rung: AtomicBool::new(false), somewhere: Arc::clone(&self.somewhere) })
    }

    /// Waits until something is done that was asked for one of the posts, and tells what came of it. They have turns: one that
    /// always has something does not keep others from theirs.
    pub(super) async fn next(&mut self, posts: &mut BTreeMap<FleetId, Post>) -> (FleetId, (Option<Event>, Vec<Line>)) {
        loop {
            while let Some(id) = self.rung(posts) {
                self.last = Some(id);
                let Some(Post { ledger, bell, .. }) = posts.get_mut(&id) else { continue };
                let waker = Waker::from(Arc::clone(bell));
                if let Poll::Ready(done) = pin!(ledger.ready()).poll(&mut Context::from_waker(&waker)) {
                    // There may be more.
                    bell.ring();
                    return (id, done);
                }
            }
            self.somewhere.notified().await;
        }
    }

    fn rung(&self, posts: &BTreeMap<FleetId, Post>) -> Option<FleetId> {
        let after = self.last.map_or(Unbounded, Excluded);
        let mut all = posts.range((after, Unbounded)).chain(posts);
        all.find(|(_, post)| post.bell.take()).map(|(id, _)| *id)
    }
}

impl Bell {
    /// Rings.
    pub(super) fn ring(&self) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            self.somewhere.notify_one();
        }
    }

    /// Whether it has rung since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.has_rung.load(Ordering::Acquire) && self.has_rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use watcher_core::pfile::{AbsolutePath, UnknownOptions};

    use super::*;
    use crate::executor::{aside::Desks, ledger::Ledger, rules::RulesReader, rundir::RunDir, store::Store};

    #[tokio::test]
    async fn each_post_has_its_turn_and_those_that_have_nothing_to_do_are_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (mut bells, desks) = (Bells::default(), Desks::default());
        let mut posts: BTreeMap<_, _> = (1..=3)
            .map(|number| {
                let pfile = folder.path().join(format!("{number}.pfile"));
                fs::write(&pfile, "IPCKEY 0x1\n/bin/a:/b:1:1:exit\n").unwrap();
                let run_dir = RunDir::claim(&folder.path().join("run"), number, &pfile).unwrap();
                let (store, _, _) = Store::open(run_dir.state(), String::new()).unwrap();
                let reader =
                    RulesReader::new(desks.reading.clone(), pfile.clone(), UnknownOptions::Refuse, BTreeSet::new());
                let path = AbsolutePath::new(pfile.as_os_str().as_encoded_bytes()).unwrap();
                let post = Post::new(Ledger::new(run_dir, store, reader, &desks), bells.make(), path, None);
                (FleetId::new(number).unwrap(), post)
            })
            .collect();
        let ids: Vec<_> = posts.keys().copied().collect();
        let ring = |posts: &BTreeMap<_, Post>, id| posts.get(&id).unwrap().bell.ring();
        assert_eq!(bells.rung(&posts), None);
        ids.iter().for_each(|id| ring(&posts, *id));
        for wanted in [ids[0], ids[1], ids[2], ids[0]] {
            assert_eq!(bells.rung(&posts), Some(wanted), "one after the other");
            bells.last = Some(wanted);
            // It has something to do again at once.
            ring(&posts, wanted);
        }
        // What was asked for comes, of whomever it was asked, however often others ring.
        for id in &ids {
            posts.get_mut(id).unwrap().ledger.read_rules(None);
        }
        let mut done = BTreeSet::new();
        while done.len() < ids.len() {
            let (id, (event, _)) = bells.next(&mut posts).await;
            assert!(matches!(event, Some(Event::Rules { rules: Ok(_), .. })), "{event:?}");
            assert!(done.insert(id));
            ring(&posts, ids[0]);
        }
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), bells.next(&mut posts)).await.is_err());
        assert_eq!(bells.rung(&posts), None, "nobody has anything to do");
    }
}
