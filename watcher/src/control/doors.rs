//! The control sockets of all pfiles, behind one ear: each is served by a task of its own, and requests come with the name
//! of the door at which somebody has knocked.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{Request, Server};

/// So many requests wait to be heard; more wait at their doors.
const WAITING: usize = 64;

/// All doors.
#[derive(Debug)]
pub struct Doors<K> {
    /// Whoever drops this closes the door; whoever sends by it forsakes it.
    open: BTreeMap<K, oneshot::Sender<()>>,
    tasks: JoinSet<()>,
    requests: mpsc::Receiver<(K, Request)>,
    sender: mpsc::Sender<(K, Request)>,
}

impl<K: Copy + Ord + Send + 'static> Default for Doors<K> {
    fn default() -> Self {
        let (sender, requests) = mpsc::channel(WAITING);
        Self { open: BTreeMap::new(), tasks: JoinSet::new(), requests, sender }
    }
}

impl<K: Copy + Ord + Send + 'static> Doors<K> {
    /// Opens one.
    pub fn open(&mut self, door: K, server: Server) {
        let (open, closed) = oneshot::channel();
        self.open.insert(door, open);
        while self.tasks.try_join_next().is_some() {}
        let _task = self.tasks.spawn(serve(door, server, closed, self.sender.clone()));
    }

    /// Closes one: nobody is heard any more. Answers that were given are brought to those who still read.
    pub fn close(&mut self, door: K) {
        self.open.remove(&door);
    }

    /// Waits for the next request. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> (K, Request) {
        match self.requests.recv().await {
            Some(request) => request,
            // There is a sender here.
            None => std::future::pending().await,
        }
    }

    /// The same as if whoever has opened it had been killed: its socket stays, and shows that.
    pub fn forsake(&mut self, door: K) {
        let _closed = self.open.remove(&door).map(|open| open.send(()));
    }

    /// Closes all, and waits until answers were brought, but not for ever.
    pub async fn finish(self, limit: Duration) {
        let Self { open, mut tasks, requests, sender } = self;
        drop((open, requests, sender));
        let brought = async { while tasks.join_next().await.is_some() {} };
        let _in_time = timeout(limit, brought).await;
    }
}

async fn serve<K: Copy>(
    door: K,
    mut server: Server,
    mut closed: oneshot::Receiver<()>,
    requests: mpsc::Sender<(K, Request)>,
) {
    loop {
        tokio::select! {
            biased;
            how = &mut closed => {
                if how.is_ok() {
                    server.leave_socket();
                }
                break;
            }
            request = server.next() => {
                if requests.send((door, request)).await.is_err() {
                    break;
                }
            }
        }
    }
    server.finish().await;
}
