//! How the watch over a pfile has ended, as those are told who wait for it: `{"ended":"asked"}`.

use serde::{Deserialize, Serialize};
use watcher_core::{Finish, pfile::RetryOver};

/// How it has ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The operator asked for it.
    Asked,
    /// An entry's retries are used up: `RETRY_OVER:EXIT`.
    Exit,
    /// It has not: another process goes on with it.
    HandedOver,
    /// An entry's retries are used up: `RETRY_OVER:SHUTDOWN`.
    Shutdown,
}

impl From<Finish> for Ended {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Asked => Self::Asked,
            Finish::RetryOver(RetryOver::Exit) => Self::Exit,
            Finish::RetryOver(RetryOver::Shutdown | RetryOver::Continue) => Self::Shutdown,
        }
    }
}

/// The line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct EndLine {
    pub(super) ended: Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_what_other_programs_may_rely_on() {
        let line = |ended| serde_json::to_string(&EndLine { ended }).unwrap();
        assert_eq!(line(Ended::from(Finish::Asked)), r#"{"ended":"asked"}"#);
        assert_eq!(line(Ended::from(Finish::RetryOver(RetryOver::Exit))), r#"{"ended":"exit"}"#);
        assert_eq!(line(Ended::from(Finish::RetryOver(RetryOver::Shutdown))), r#"{"ended":"shutdown"}"#);
        assert_eq!(line(Ended::HandedOver), r#"{"ended":"handed_over"}"#);
    }
}
