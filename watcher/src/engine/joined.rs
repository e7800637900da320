//! The loop of a pcheck that has joined a daemon: that decides, and what is to be seen of a pcheck is seen of this process. It
//! runs the scripts, tells the log, and takes signals. When the daemon goes, it goes on by itself.

use std::collections::BTreeMap;

use tracing::debug;
use watcher_core::{
    Event, Finish, Level, Mono, Note, Order, RunId, Signal, Span, Told,
    pfile::{AbsolutePath, EntryNumber, RetryOver},
};

use super::{SLOW_SWEEP, tick, ticks, until};
use crate::{
    control::{
        Ended,
        join::{Heard, Word, member::Member},
    },
    executor::{
        hands::Hands,
        scripts::{self, Ran},
        service,
    },
    sources::os_signals::OsSignals,
    sys::{clock, heap},
};

/// How long the daemon may take to read the pfile. One that hangs would keep us waiting alone, too, but not for its sake.
const ADMISSION: Span = Span::of_seconds(60);

/// How long it may take to end the watch.
const FAREWELL: Span = Span::of_seconds(5);

/// How long it may take to answer a knock.
const PATIENCE: Span = Span::of_seconds(10);

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub enum Parted {
    /// The watch never began: this pcheck has to stand alone. Why, as a sentence.
    Alone(String),
    /// It has ended.
    Ended(Finish),
    /// Nobody can watch this pfile.
    Failed {
        /// Since somebody watches it.
        already_running: bool,
        /// Why, as a sentence.
        why: String,
    },
    /// The daemon has gone, or is about to: this pcheck has to go on. Why, as a sentence, and what it has run.
    TakeOver(&'static str, Ran),
}

/// A pcheck that has joined, or is about to.
#[derive(Debug)]
pub struct Joined<'a> {
    /// Its daemon.
    member: Member,
    /// What runs scripts, and tells the log.
    hands: &'a mut Hands,
    /// Signals to this process.
    signals: &'a mut OsSignals,
    /// Scripts whose starts are awaited: of which entry.
    awaited: BTreeMap<RunId, (EntryNumber, AbsolutePath)>,
    /// Those that were started.
    ran: Ran,
    /// Whether the daemon is there.
    door: AtTheDoor,
}

impl<'a> Joined<'a> {
    /// Ready to hear what the daemon says.
    pub fn new(member: Member, hands: &'a mut Hands, signals: &'a mut OsSignals) -> Self {
        Self { member, hands, signals, awaited: BTreeMap::new(), ran: Ran::new(), door: AtTheDoor::Answered }
    }

    /// Until one side has had enough.
    pub async fn run(mut self) -> Parted {
        let parted = self.until_parted().await;
        let Parted::TakeOver(why, _) = parted else { return parted };
        let mut events = Vec::new();
        self.hands.disown_scripts(&mut events).await;
        events.into_iter().for_each(|event| self.tell(event));
        Parted::TakeOver(why, self.ran)
    }

    async fn until_parted(&mut self) -> Parted {
        let mut stands = Stands::Waits(clock::now().after(ADMISSION));
        let mut tend = ticks(scripts::TEND_EVERY);
        let mut slow = ticks(SLOW_SWEEP);
        let mut watchdog = service::watchdog_period().map(ticks);
        loop {
            let mut events = Vec::new();
            let (limit, patience) = (stands.limit(), self.door.limit());
            tokio::select! {
                biased;
                // First: under a flood of other things the loop lives. Where the daemon watches, it is for the daemon to show that
                // it does.
                () = tick(watchdog.as_mut()) => if !self.knock(&stands) {
                    service::watchdog();
                },
                event = self.signals.next() => if let Some(parted) = self.ordered(event, &mut stands) {
                    return parted;
                },
                word = self.member.next() => match word {
                    Some(word) => if let Some(parted) = self.hear(word, &mut stands) {
                        return parted;
                    },
                    None => return stands.left_alone(),
                },
                () = self.hands.ready(&mut events) => {}
                _ = tend.tick(), if self.hands.must_tend() => self.hands.tend(&mut events),
                _ = slow.tick() => {
                    self.hands.tend_slowly();
                    self.knock(&stands);
                }
                () = until(limit), if limit.is_some() => return self.too_late(&stands),
                () = until(patience), if patience.is_some() => self.say_that_nobody_answers(),
            }
            for event in events {
                self.tell(event);
            }
        }
    }

    /// What an operator orders by a signal.
    fn ordered(&mut self, event: Event, stands: &mut Stands) -> Option<Parted> {
        match (event, &*stands) {
            (Event::Stop { signal }, Stands::Waits(_)) => {
                self.say_stopped(signal);
                // It may have begun to watch already: then this is no end without a word.
                self.member.say(&Heard::Stop(signal));
                return Some(Parted::Ended(Finish::Asked));
            }
            // A second one needs no patience.
            (Event::Stop { .. }, Stands::Ends(_)) => return Some(Parted::Ended(Finish::Asked)),
            (Event::Stop { signal }, Stands::Joined) => {
                self.member.say(&Heard::Stop(signal));
                *stands = Stands::Ends(clock::now().after(FAREWELL));
            }
            (Event::Order { order: Order::Reload, .. }, Stands::Joined) => self.member.say(&Heard::Reload),
            (Event::Order { order: Order::Dump, .. }, Stands::Joined) => self.member.say(&Heard::Dump),
            // Nothing to reload or to write yet, or any more.
            (event, _) => debug!(?event, "it means nothing now"),
        }
        None
    }

    /// What the daemon says.
    fn hear(&mut self, word: Word, stands: &mut Stands) -> Option<Parted> {
        debug!(?word);
        match word {
            Word::Alone(why) => return Some(Parted::Alone(why)),
            Word::Failed { already_running, why } => return Some(Parted::Failed { already_running, why }),
            Word::Joined => {
                *stands = Stands::Joined;
                heap::give_back();
                heap::let_go_of_code();
            }
            Word::Here => self.is_answered(),
            Word::Log(level, line) => self.hands.pass_on([(level, line)]),
            Word::Lost(lines) => {
                let line = format!("{lines} lines of the log are lost: this process did not take them in time");
                self.hands.say(Level::Warning, &line);
            }
            Word::Ready => service::ready(),
            Word::Reloading => service::reloading(),
            Word::Run(order, output) => {
                self.awaited.insert(order.run, (order.number, order.script.clone()));
                self.hands.run(*order, output);
            }
            Word::EndRun { run, force } => {
                let mut events = Vec::new();
                self.hands.end_run(run, force, &mut events);
                events.into_iter().for_each(|event| self.tell(event));
            }
            Word::Ended(Ended::HandedOver) => return Some(stands.handed_over()),
            Word::Ended(Ended::Asked) => return Some(Parted::Ended(Finish::Asked)),
            Word::Ended(Ended::Exit) => return Some(Parted::Ended(Finish::RetryOver(RetryOver::Exit))),
            Word::Ended(Ended::Shutdown) => return Some(Parted::Ended(Finish::RetryOver(RetryOver::Shutdown))),
        }
        None
    }

    /// Tells the daemon what became of a script. Nothing else was asked for.
    fn tell(&mut self, event: Event) {
        if let Event::RunStarted { run, script } = event {
            if let Some((number, path)) = self.awaited.remove(&run) {
                self.ran.insert(number, (path, script));
            }
            self.member.say(&Heard::RunStarted(run, script));
        } else if let Event::RunEnded { run, end } = event {
            self.awaited.remove(&run);
            self.member.say(&Heard::RunEnded(run, end));
        }
    }

    fn too_late(&mut self, stands: &Stands) -> Parted {
        match stands {
            Stands::Ends(_) => {
                let line = "watcher run does not end the watch, and sees that by itself: is it stopped, or very busy?";
                self.hands.say(Level::Warning, line);
                Parted::Ended(Finish::Asked)
            }
            Stands::Joined | Stands::Waits(_) => {
                Parted::Alone(format!("it has not read the pfile within {} s", ADMISSION.seconds()))
            }
        }
    }

    /// Asks whether the daemon is there, unless it was asked and has not answered yet. Says whether it watches.
    fn knock(&mut self, stands: &Stands) -> bool {
        let is_joined = matches!(stands, Stands::Joined);
        if is_joined && matches!(self.door, AtTheDoor::Answered) {
            self.member.say(&Heard::Knock);
            self.door = AtTheDoor::Knocked(clock::now().after(PATIENCE));
        }
        is_joined
    }

    fn is_answered(&mut self) {
        if matches!(self.door, AtTheDoor::Silent) {
            self.hands.say(Level::Notice, "watcher run answers again");
        }
        self.door = AtTheDoor::Answered;
        if service::watchdog_period().is_some() {
            service::watchdog();
        }
    }

    fn say_that_nobody_answers(&mut self) {
        self.door = AtTheDoor::Silent;
        let line = "watcher run does not answer: as long as it is stopped, or hangs, nothing is watched for this pcheck. Let \
                    it go on (SIGCONT), or end it (SIGKILL): then this pcheck goes on by itself";
        self.hands.say(Level::Error, line);
    }

    fn say_stopped(&mut self, signal: Signal) {
        for note in [Note::SignalCaught { signal }, Note::Stop] {
            self.hands.tell(&Told { entry: None, note });
        }
    }
}

/// Whether the daemon has shown that it is there.
#[derive(Debug)]
enum AtTheDoor {
    /// It has.
    Answered,
    /// It was asked to; it has until then.
    Knocked(Mono),
    /// It has not in time, which was told.
    Silent,
}

impl AtTheDoor {
    const fn limit(&self) -> Option<Mono> {
        match self {
            Self::Knocked(until) => Some(*until),
            Self::Answered | Self::Silent => None,
        }
    }
}

/// How it stands with a daemon.
#[derive(Debug)]
enum Stands {
    /// It was asked to end the watch; it has until then.
    Ends(Mono),
    /// It watches.
    Joined,
    /// It reads the pfile; it has until then.
    Waits(Mono),
}

impl Stands {
    const fn limit(&self) -> Option<Mono> {
        match self {
            Self::Ends(until) | Self::Waits(until) => Some(*until),
            Self::Joined => None,
        }
    }

    /// The daemon has gone without a word.
    fn left_alone(&self) -> Parted {
        match self {
            Self::Ends(_) => Parted::Ended(Finish::Asked),
            Self::Joined => Parted::TakeOver("has vanished", Ran::new()),
            Self::Waits(_) => Parted::Alone("it has gone".to_owned()),
        }
    }

    /// The daemon ends.
    fn handed_over(&self) -> Parted {
        match self {
            Self::Ends(_) => Parted::Ended(Finish::Asked),
            Self::Joined | Self::Waits(_) => Parted::TakeOver("ends", Ran::new()),
        }
    }
}
