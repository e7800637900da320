//! The command line of `clp_httpmon` and `clp_smtpmon`, read by hand: what is wrong has a message of the original's.

use std::{collections::BTreeSet, ffi::OsString, os::unix::ffi::OsStrExt as _, path::PathBuf, time::Duration};

use clap::ValueEnum as _;
use watcher_core::monitor::{Id, Kind, Note, Order};

use super::options::{Options, number, shown};
use crate::{cli::terms::LogChoice, executor::record};

/// Shows diagnostics. It was looked for before anything else is read.
pub(super) const VERBOSE: &str = "--verbose";

/// How long `--stop` waits where nothing is said, in seconds.
const WAIT: u32 = 10;

/// What was typed.
#[derive(Debug)]
pub(super) enum Typed {
    Do(Box<Common>),
    Help,
    Version,
}

/// What goes with everything.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) id: Id,
    pub(super) root: PathBuf,
    pub(super) log: Option<LogChoice>,
    pub(super) json: bool,
    pub(super) what: What,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Del,
    Disp,
    Once(Options),
    Order(Order),
    Start(Options),
    Stop { wait: Duration },
}

/// Why a command line is not understood.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its message.
    pub(super) note: Note,
    /// The identifier, as it was given.
    pub(super) id: Vec<u8>,
    pub(super) sentence: String,
    pub(super) log: Option<LogChoice>,
}

/// Reads the words after the command.
pub(super) fn read(kind: Kind, words: &[OsString]) -> Result<Typed, Wrong> {
    if words.iter().any(|word| word == "--help") {
        return Ok(Typed::Help);
    }
    if words.iter().any(|word| word == "--version") {
        return Ok(Typed::Version);
    }
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let (id, rest) = match words.split_first() {
        Some((id, rest)) if !id.is_empty() && !id.starts_with(b"-") => (*id, rest),
        Some(_) | None => {
            // Where the log is to go is said all the same.
            let log = Reader::new(kind, &words).ok().and_then(|mut reader| {
                let _wrong_too = reader.all();
                reader.log
            });
            let sentence = format!("the identifier comes first: {} ID [OPTIONS]; --help shows them", kind.command());
            return Err(Wrong { note: Note::NoId, id: Vec::new(), sentence, log });
        }
    };
    let wrong = |sentence, log| Wrong { note: Note::Invalid, id: id.to_vec(), sentence, log };
    let mut reader = Reader::new(kind, rest).map_err(|sentence| wrong(sentence, None))?;
    let read = reader.all();
    let log = reader.log;
    let Some(good) = Id::new(id) else {
        let sentence = format!("{}: ID must be 1 to {} letters and digits", shown(id), Id::LONGEST);
        return Err(wrong(sentence, log));
    };
    read.and_then(|()| reader.done(good)).map(|common| Typed::Do(Box::new(common))).map_err(|why| wrong(why, log))
}

/// Whether a word is the value of the option before it. Another option is none, but a negative number is one, and refused for
/// that.
fn is_value(word: &[u8]) -> bool {
    !word.starts_with(b"-") || word.get(1).is_some_and(u8::is_ascii_digit)
}

struct Reader<'a> {
    words: std::slice::Iter<'a, &'a [u8]>,
    given: BTreeSet<&'static str>,
    options: Options,
    state: Option<(&'static str, What)>,
    once: bool,
    root: PathBuf,
    log: Option<LogChoice>,
    json: bool,
}

/// The options that have one letter and a value.
const LETTERS: [&str; 7] = ["-s", "-n", "-i", "-c", "-r", "-v", "-h"];
/// Those that only HTTP has.
const OF_HTTP: [&str; 2] = ["-v", "-h"];

impl<'a> Reader<'a> {
    fn new(kind: Kind, words: &'a [&'a [u8]]) -> Result<Self, String> {
        let options = Options::of(kind).ok_or("there are no defaults")?;
        let (given, root) = (BTreeSet::new(), record::ROOT.into());
        Ok(Self { words: words.iter(), given, options, state: None, once: false, root, log: None, json: false })
    }

    /// Reads to the end, also beyond what is wrong: where the log goes may come later. Says the first thing that is wrong.
    fn all(&mut self) -> Result<(), String> {
        let mut wrong = None;
        while let Some(word) = self.words.next() {
            if let Err(why) = self.word(word) {
                wrong.get_or_insert(why);
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    fn word(&mut self, word: &'a [u8]) -> Result<(), String> {
        if let Some(option) = LETTERS.into_iter().find(|option| word.starts_with(option.as_bytes())) {
            let attached = word.get(option.len()..).filter(|attached| !attached.is_empty());
            let value = match attached {
                Some(value) => value,
                None => self.value(option)?,
            };
            if OF_HTTP.contains(&option) && self.options.kind == Kind::Smtp {
                return Err(format!("{option} is an option of clp_httpmon; --help shows those of clp_smtpmon"));
            }
            self.once_only(option)?;
            return self.options.set(option, value);
        }
        let (name, attached) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => (word.get(..at).unwrap_or_default(), word.get(at + 1..)),
            None => (word, None),
        };
        match (name, attached) {
            (b"--run-dir", attached) => {
                self.once_only("--run-dir")?;
                let value = attached.map_or_else(|| self.value("--run-dir"), Ok)?;
                self.root = std::ffi::OsStr::from_bytes(value).into();
            }
            (b"--log", attached) => {
                self.once_only("--log")?;
                let value = attached.map_or_else(|| self.value("--log"), Ok)?;
                let choice = str::from_utf8(value).ok().and_then(|text| LogChoice::from_str(text, false).ok());
                let wanted = || format!("--log {}: stderr or syslog is wanted", shown(value));
                self.log = Some(choice.ok_or_else(wanted)?);
            }
            (b"--stop", attached) => {
                let wait = attached.or_else(|| self.next_if(is_value));
                let wait = wait.map_or(Ok(WAIT), |wait| number("--stop", "WAIT, in seconds,", wait))?;
                self.state("--stop", What::Stop { wait: Duration::from_secs(wait.into()) })?;
            }
            (b"--pause", None) => self.state("--pause", What::Order(Order::Pause))?,
            (b"--resume", None) => self.state("--resume", What::Order(Order::Resume))?,
            (b"--disp", None) => self.state("--disp", What::Disp)?,
            (b"--del", None) => self.state("--del", What::Del)?,
            (b"--once", None) => self.once = true,
            (b"--json", None) => self.json = true,
            (b"--verbose", None) => {}
            _ if word.starts_with(b"-") => return Err(format!("{} is no option; --help shows them", shown(word))),
            _ => return Err(format!("{} is one word too many; --help shows the options", shown(word))),
        }
        Ok(())
    }

    /// The word that follows an option.
    fn value(&mut self, option: &str) -> Result<&'a [u8], String> {
        self.next_if(is_value).ok_or_else(|| format!("{option} wants a value; --help shows which"))
    }

    fn next_if(&mut self, wanted: impl FnOnce(&[u8]) -> bool) -> Option<&'a [u8]> {
        let word = self.words.as_slice().first().filter(|word| wanted(word))?;
        self.words.next();
        Some(word)
    }

    fn once_only(&mut self, option: &'static str) -> Result<(), String> {
        if self.given.insert(option) { Ok(()) } else { Err(format!("{option} is given twice")) }
    }

    fn state(&mut self, option: &'static str, what: What) -> Result<(), String> {
        if let Some((other, _)) = self.state.replace((option, what)) {
            return Err(format!("{other} and {option} exclude each other"));
        }
        Ok(())
    }

    fn done(self, id: Id) -> Result<Common, String> {
        let Self { words: _, given, options, state, once, root, log, json } = self;
        let (name, what) = match state {
            Some((name, _)) if once => return Err(format!("{name} and --once exclude each other")),
            Some((name, what)) => {
                if let Some(option) = LETTERS.into_iter().find(|option| given.contains(option)) {
                    return Err(format!("{option} says what to monitor, and does not go with {name}"));
                }
                (name, what)
            }
            None if once => ("--once", What::Once(options)),
            None => ("", What::Start(options)),
        };
        if json && !["--disp", "--once"].contains(&name) {
            return Err("--json goes with --disp or --once".to_owned());
        }
        Ok(Common { id, root, log, json, what })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn of(kind: Kind, text: &str) -> Common {
        match read(kind, &words(text)) {
            Ok(Typed::Do(common)) => *common,
            other => panic!("{other:?}"),
        }
    }

    fn why(kind: Kind, text: &str) -> (u8, String) {
        let Wrong { note, sentence, .. } = read(kind, &words(text)).unwrap_err();
        (note.number(), sentence)
    }

    #[test]
    fn options_come_in_any_order_and_shape() {
        let Common { id, root, what: What::Start(options), .. } =
            of(Kind::Http, "web -c5 --run-dir=/tmp/x -h /a -i 7 --verbose -s ::1 -n8080 -r 2 -v 1.0")
        else {
            panic!("a start")
        };
        assert_eq!((id.as_str(), root), ("web", "/tmp/x".into()));
        assert_eq!(
            options.json().to_string(),
            r#"{"interval_s":7,"port":8080,"retries":5,"server":"::1","uri":"/a","version":"1.0","wait_s":2}"#
        );
        assert_eq!(of(Kind::Smtp, "mail").root, PathBuf::from("/run"));
    }

    #[test]
    fn each_state_command_is_known() {
        let stop = |seconds| What::Stop { wait: Duration::from_secs(seconds) };
        for (text, what) in [
            ("a --stop", stop(10)),
            ("a --stop 3", stop(3)),
            ("a --stop=10000 --log stderr", stop(10_000)),
            ("a --stop --log syslog", stop(10)),
            ("a --pause", What::Order(Order::Pause)),
            ("a --resume --run-dir /x", What::Order(Order::Resume)),
            ("a --disp --json", What::Disp),
            ("a --del", What::Del),
        ] {
            assert_eq!(of(Kind::Smtp, text).what, what, "{text}");
        }
        let once = of(Kind::Smtp, "a --once -n 2525 --json");
        assert!(once.json && matches!(once.what, What::Once(options) if options.port.number() == 2525));
    }

    #[test]
    fn without_an_identifier_that_is_what_is_said() {
        for text in ["", "-s localhost", "--stop", "-i 0", "--log stderr web"] {
            assert_eq!(why(Kind::Http, text).0, 13, "{text}");
        }
        assert_eq!(read(Kind::Http, &[OsString::new()]).unwrap_err().note, Note::NoId);
        let log = read(Kind::Http, &words("--log stderr")).unwrap_err().log;
        assert!(matches!(log, Some(LogChoice::Stderr)), "{log:?}");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, sentence) in [
            ("a-b", "a-b: ID must be 1 to 255 letters and digits"),
            ("a -i 0", "-i 0: INTERVAL, in seconds, must be a whole number, 1 to 10000"),
            ("a -i -5", "-i -5: INTERVAL, in seconds, must be a whole number, 1 to 10000"),
            ("a -i", "-i wants a value; --help shows which"),
            ("a -s --stop", "-s wants a value; --help shows which"),
            ("a --stop 0", "--stop 0: WAIT, in seconds, must be a whole number, 1 to 10000"),
            ("a --stop -1", "--stop -1: WAIT, in seconds, must be a whole number, 1 to 10000"),
            ("a -i 1 -i 2", "-i is given twice"),
            ("a --stop --pause", "--stop and --pause exclude each other"),
            ("a --once --del", "--del and --once exclude each other"),
            ("a --stop -s x", "-s says what to monitor, and does not go with --stop"),
            ("a -s x --stop", "-s says what to monitor, and does not go with --stop"),
            ("a --json", "--json goes with --disp or --once"),
            ("a --nonsense", "--nonsense is no option; --help shows them"),
            ("a b", "b is one word too many; --help shows the options"),
            ("a --log nowhere", "--log nowhere: stderr or syslog is wanted"),
        ] {
            assert_eq!(why(Kind::Http, text), (11, sentence.to_owned()), "{text}");
        }
        assert_eq!(why(Kind::Smtp, "a -h /").1, "-h is an option of clp_httpmon; --help shows those of clp_smtpmon");
        let late = read(Kind::Http, &words("a -i 0 --log stderr")).unwrap_err();
        assert!(matches!(late.log, Some(LogChoice::Stderr)) && late.id == b"a");
    }

    proptest! {
        #[test]
        fn any_words_are_understood_or_refused_by_a_sentence(
            words in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..6),
                prop::sample::select(vec!["web", "-i", "-h", "--stop", "--once", "--json", "--log=", "--run-dir", "5"])
                    .prop_map(|word| word.as_bytes().to_vec()),
            ], 0..6),
        ) {
            let words: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
            for kind in [Kind::Http, Kind::Smtp] {
                if let Err(wrong) = read(kind, &words) {
                    prop_assert!(!wrong.sentence.is_empty());
                    prop_assert!(matches!(wrong.note, Note::Invalid | Note::NoId));
                }
            }
        }
    }

    #[test]
    fn help_is_help_wherever_it_stands() {
        assert!(matches!(read(Kind::Http, &words("a -i 0 --help")), Ok(Typed::Help)));
        assert!(matches!(read(Kind::Smtp, &words("--version")), Ok(Typed::Version)));
    }
}
