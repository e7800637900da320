//! The messages, by the numbers of the manual. Their texts are kept to the byte: filters of log monitors wait for them.
//!
//! Numbers 51 to 56 are those of the original's licence. They stay reserved.

use super::Kind;
use crate::{
    Level,
    probe::{Fault, Step},
};

/// `ETIMEDOUT`
const TIMED_OUT: i32 = 110;
/// `EAI_AGAIN`: what a resolver says that does not know yet.
const NOT_YET: i32 = -3;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// 2: the first check begins.
    Begins,
    /// 3: it ends, as it was asked to.
    Ends,
    /// 71 to 75, 81 to 83: a check has failed.
    Found(Symptom),
    /// 6: it ends for what was found.
    GivesUp,
    /// 14: another one has the identifier.
    IdInUse,
    /// 11: an option has a value that it cannot have.
    Invalid,
    /// 13: there is no identifier.
    NoId,
    /// 15: it could not be ended.
    NotEnded,
    /// 7: paused.
    Paused,
    /// 8: resumed.
    Resumed,
    /// 1: started.
    Started,
    /// 42: the system refuses something.
    System {
        /// What was called.
        call: &'static str,
        /// Why it failed.
        errno: i32,
    },
}

/// What a check has found to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// 81: the name has no address, for this reason of the resolver.
    Address(i32),
    /// 72: no connection, by error number.
    Connect(i32),
    /// 82: the answer is not HTTP.
    NotHttp,
    /// 75: nothing was received, by error number; 0: the connection was closed.
    Receive(i32),
    /// 74: no answer in time.
    Select(i32),
    /// 73: the request was not taken.
    Send(i32),
    /// 71: no socket.
    Socket(i32),
    /// 83: an error was answered; 0: what was answered is not SMTP.
    Status(u16),
}

impl Symptom {
    /// What a fault is called here. None: it says nothing of the service.
    #[must_use]
    pub const fn of(kind: Kind, fault: &Fault) -> Option<Self> {
        Some(match fault {
            Fault::Address { code, why: _ } => Self::Address(*code),
            // A connection that ends is what `recv` says by 0; there is no answer that could be called invalid.
            Fault::Closed { step: _ } => Self::Receive(0),
            Fault::Connect { errno } => Self::Connect(*errno),
            Fault::Foreign { .. }
            | Fault::Mismatch { .. }
            | Fault::Tls { .. }
            | Fault::TlsUnusable { .. }
            | Fault::Trust { .. } => match kind {
                Kind::Http => Self::NotHttp,
                Kind::Smtp => Self::Status(0),
            },
            Fault::Overrun => return None,
            Fault::Receive { errno } => Self::Receive(*errno),
            Fault::Send { errno } => Self::Send(*errno),
            Fault::Silent { step, got: _ } => match step {
                Step::Resolve => Self::Address(NOT_YET),
                Step::Connect => Self::Connect(TIMED_OUT),
                Step::Send => Self::Send(TIMED_OUT),
                Step::Answer | Step::Tls => Self::Select(TIMED_OUT),
            },
            Fault::Socket { errno } => Self::Socket(*errno),
            Fault::Status { code, line: _ } => Self::Status(*code),
        })
    }

    /// Number of its message.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Socket(_) => 71,
            Self::Connect(_) => 72,
            Self::Send(_) => 73,
            Self::Select(_) => 74,
            Self::Receive(_) => 75,
            Self::Address(_) => 81,
            Self::NotHttp => 82,
            Self::Status(_) => 83,
        }
    }

    /// The number in its message.
    #[must_use]
    pub const fn error(self) -> Option<i32> {
        match self {
            Self::Address(error)
            | Self::Connect(error)
            | Self::Receive(error)
            | Self::Select(error)
            | Self::Send(error)
            | Self::Socket(error) => Some(error),
            Self::NotHttp => None,
            Self::Status(code) => Some(code as i32),
        }
    }
}

impl Note {
    /// Its number in the manual.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Started => 1,
            Self::Begins => 2,
            Self::Ends => 3,
            Self::GivesUp => 6,
            Self::Paused => 7,
            Self::Resumed => 8,
            Self::Invalid => 11,
            Self::NoId => 13,
            Self::IdInUse => 14,
            Self::NotEnded => 15,
            Self::System { .. } => 42,
            Self::Found(symptom) => symptom.number(),
        }
    }

    /// How much it matters. The manual gives no levels, only groups; these are this project's own choice.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Started | Self::Begins | Self::Ends | Self::Paused | Self::Resumed => Level::Notice,
            Self::Invalid | Self::NoId | Self::IdInUse | Self::NotEnded | Self::System { .. } | Self::Found(_) => {
                Level::Error
            }
            Self::GivesUp => Level::Critical,
        }
    }

    /// Its line in the log. The identifier may be one that is refused for what it holds.
    #[must_use]
    pub fn line(self, kind: Kind, id: &[u8]) -> Vec<u8> {
        let (command, protocol) = (kind.command(), kind.protocol());
        let network = |call: &str, error: i32| format!("{command} has detected network error ({call} error[{error}]).");
        let text = match self {
            Self::Started => format!("{command} started monitoring the {protocol} daemon."),
            Self::Begins => format!("{command} will start monitoring the {protocol} daemon."),
            Self::Ends => format!("{command} will stop monitoring the {protocol} daemon."),
            Self::GivesUp => format!("{command} detected an error and will be terminated."),
            Self::Paused => format!("{command} will stop monitoring."),
            Self::Resumed => format!("{command} will start monitoring."),
            Self::Invalid => format!("The parameter value of {command} is invalid."),
            Self::NoId => {
                let article = match kind {
                    Kind::Http => "An",
                    Kind::Smtp => "The",
                };
                return format!("{article} identifier is not specified in the {command} command.").into_bytes();
            }
            Self::IdInUse => "The specified identifier is already used.".to_owned(),
            Self::NotEnded => format!("{command} could not perform the end processing."),
            Self::System { call, errno } => format!("{command} has detected system error ({call} {errno})."),
            Self::Found(Symptom::Socket(error)) => network("socket", error),
            Self::Found(Symptom::Connect(error)) => network("connect", error),
            Self::Found(Symptom::Send(error)) => network("send", error),
            Self::Found(Symptom::Select(error)) => network("select", error),
            Self::Found(Symptom::Receive(error)) => network("recv", error),
            Self::Found(Symptom::Address(error)) => match kind {
                Kind::Http => format!("Failed to obtain the IP address (error[{error}])."),
                Kind::Smtp => format!("Failed to obtain IP address (error[{error}])."),
            },
            Self::Found(Symptom::NotHttp) => {
                format!("{command} has detected an error in {protocol} (invalid response).")
            }
            Self::Found(Symptom::Status(code)) => {
                format!("{command} has detected an error in {protocol} (invalid status code[{code}]).")
            }
        };
        [text.as_bytes(), b" [ID:", id, b"]"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_messages_are_kept_to_the_byte() {
        let of =
            |kind, id: &str, note: Note| (note.number(), String::from_utf8(note.line(kind, id.as_bytes())).unwrap());
        let http = |note| of(Kind::Http, "httpwatch", note);
        let smtp = |note| of(Kind::Smtp, "smtpwatch", note);
        let found = Note::Found;
        for ((number, line), published) in [
            (http(Note::Started), "1 clp_httpmon started monitoring the HTTP daemon. [ID:httpwatch]"),
            (http(Note::Begins), "2 clp_httpmon will start monitoring the HTTP daemon. [ID:httpwatch]"),
            (http(Note::Ends), "3 clp_httpmon will stop monitoring the HTTP daemon. [ID:httpwatch]"),
            (http(Note::GivesUp), "6 clp_httpmon detected an error and will be terminated. [ID:httpwatch]"),
            (http(Note::Paused), "7 clp_httpmon will stop monitoring. [ID:httpwatch]"),
            (http(Note::Resumed), "8 clp_httpmon will start monitoring. [ID:httpwatch]"),
            (http(Note::Invalid), "11 The parameter value of clp_httpmon is invalid. [ID:httpwatch]"),
            (http(Note::NoId), "13 An identifier is not specified in the clp_httpmon command."),
            (http(Note::IdInUse), "14 The specified identifier is already used. [ID:httpwatch]"),
            (http(Note::NotEnded), "15 clp_httpmon could not perform the end processing. [ID:httpwatch]"),
            (
                http(Note::System { call: "mkdir", errno: 13 }),
                "42 clp_httpmon has detected system error (mkdir 13). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Socket(24))),
                "71 clp_httpmon has detected network error (socket error[24]). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Connect(111))),
                "72 clp_httpmon has detected network error (connect error[111]). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Send(32))),
                "73 clp_httpmon has detected network error (send error[32]). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Select(110))),
                "74 clp_httpmon has detected network error (select error[110]). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Receive(104))),
                "75 clp_httpmon has detected network error (recv error[104]). [ID:httpwatch]",
            ),
            (http(found(Symptom::Address(-2))), "81 Failed to obtain the IP address (error[-2]). [ID:httpwatch]"),
            (
                http(found(Symptom::NotHttp)),
                "82 clp_httpmon has detected an error in HTTP (invalid response). [ID:httpwatch]",
            ),
            (
                http(found(Symptom::Status(404))),
                "83 clp_httpmon has detected an error in HTTP (invalid status code[404]). [ID:httpwatch]",
            ),
            (smtp(Note::Started), "1 clp_smtpmon started monitoring the SMTP daemon. [ID:smtpwatch]"),
            (smtp(Note::Begins), "2 clp_smtpmon will start monitoring the SMTP daemon. [ID:smtpwatch]"),
            (smtp(Note::Ends), "3 clp_smtpmon will stop monitoring the SMTP daemon. [ID:smtpwatch]"),
            (smtp(Note::GivesUp), "6 clp_smtpmon detected an error and will be terminated. [ID:smtpwatch]"),
            (smtp(Note::Paused), "7 clp_smtpmon will stop monitoring. [ID:smtpwatch]"),
            (smtp(Note::Resumed), "8 clp_smtpmon will start monitoring. [ID:smtpwatch]"),
            (smtp(Note::Invalid), "11 The parameter value of clp_smtpmon is invalid. [ID:smtpwatch]"),
            (smtp(Note::NoId), "13 The identifier is not specified in the clp_smtpmon command."),
            (smtp(Note::IdInUse), "14 The specified identifier is already used. [ID:smtpwatch]"),
            (smtp(Note::NotEnded), "15 clp_smtpmon could not perform the end processing. [ID:smtpwatch]"),
            (
                smtp(Note::System { call: "open", errno: 28 }),
                "42 clp_smtpmon has detected system error (open 28). [ID:smtpwatch]",
            ),
            (
                smtp(found(Symptom::Socket(24))),
                "71 clp_smtpmon has detected network error (socket error[24]). [ID:smtpwatch]",
            ),
            (
                smtp(found(Symptom::Connect(110))),
                "72 clp_smtpmon has detected network error (connect error[110]). [ID:smtpwatch]",
            ),
            (
                smtp(found(Symptom::Send(104))),
                "73 clp_smtpmon has detected network error (send error[104]). [ID:smtpwatch]",
            ),
            (
                smtp(found(Symptom::Select(110))),
                "74 clp_smtpmon has detected network error (select error[110]). [ID:smtpwatch]",
            ),
            (
                smtp(found(Symptom::Receive(0))),
                "75 clp_smtpmon has detected network error (recv error[0]). [ID:smtpwatch]",
            ),
            (smtp(found(Symptom::Address(-3))), "81 Failed to obtain IP address (error[-3]). [ID:smtpwatch]"),
            (
                smtp(found(Symptom::Status(421))),
                "83 clp_smtpmon has detected an error in SMTP (invalid status code[421]). [ID:smtpwatch]",
            ),
        ] {
            assert_eq!(format!("{number} {line}"), published);
        }
    }

    #[test]
    fn every_fault_has_its_message_but_our_own_absence() {
        let silent = |step| Fault::Silent { step, got: 0 };
        let why = || "x".to_owned();
        let table = [
            (Fault::Socket { errno: 24 }, 71, Some(24)),
            (Fault::Connect { errno: 111 }, 72, Some(111)),
            (silent(Step::Connect), 72, Some(110)),
            (Fault::Send { errno: 32 }, 73, Some(32)),
            (silent(Step::Send), 73, Some(110)),
            (silent(Step::Answer), 74, Some(110)),
            (Fault::Silent { step: Step::Answer, got: 3 }, 74, Some(110)),
            (Fault::Receive { errno: 104 }, 75, Some(104)),
            (Fault::Closed { step: Step::Answer }, 75, Some(0)),
            (Fault::Address { code: -2, why: why() }, 81, Some(-2)),
            (silent(Step::Resolve), 81, Some(-3)),
            (Fault::Foreign { what: why() }, 82, None),
            (Fault::Status { code: 503, line: why() }, 83, Some(503)),
        ];
        for (fault, number, error) in table {
            let symptom = Symptom::of(Kind::Http, &fault).unwrap();
            assert_eq!((symptom.number(), symptom.error()), (number, error), "{fault:?}");
            let by_smtp = Symptom::of(Kind::Smtp, &fault).unwrap();
            let expected = if number == 82 { (83, Some(0)) } else { (number, error) };
            assert_eq!((by_smtp.number(), by_smtp.error()), expected, "{fault:?}");
        }
        assert_eq!(Symptom::of(Kind::Http, &Fault::Overrun), None);
    }

    #[test]
    fn an_identifier_that_is_no_text_is_shown_as_it_was_given() {
        assert!(Note::Invalid.line(Kind::Http, b"\xff").ends_with(b"[ID:\xff]"));
    }
}
