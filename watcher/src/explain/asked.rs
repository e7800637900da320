//! What a stall check really asks: by its block, and by the extensions of its entry.

use serde::Serialize;
use watcher_core::{
    Span,
    pfile::{AfterFailedKill, AfterStall, Bytes, Entry, StallCheck},
    probe::{Ask, How, HttpAsk, Statuses},
};

/// A stall check.
#[derive(Debug, Serialize)]
pub struct StallReport {
    /// Name of the block.
    pub block: &'static str,
    /// From one check to the next, in seconds.
    pub interval_s: u32,
    /// It is a stall when no check has succeeded for so long, in seconds.
    pub retry_over_s: u32,
    /// Who is asked.
    pub port: u16,
    /// Where; null: this host.
    pub host: Option<String>,
    /// Time limit of one check, in seconds.
    pub timeout_s: u64,
    /// How it is asked by HTTP.
    #[serde(flatten)]
    pub http: HttpReport,
    /// The error rule of `PS_EXEC`: 0: checking goes on after a stall. 1: it ends.
    pub exec_error: u8,
    /// The error rule of `PS_ACTION`: 0: nothing more when the process cannot be ended. 1: the retry-over action.
    pub action_error: u8,
}

/// How a service is asked by HTTP; all is null, and no headers are sent, where it is not.
#[derive(Debug, Default, Serialize)]
pub struct HttpReport {
    /// What is asked for.
    pub path: Option<String>,
    /// The method that is sent.
    pub method: Option<&'static str>,
    /// More headers of the request.
    pub headers: Vec<String>,
    /// The only status codes that are good; null: all are.
    pub status: Option<String>,
    /// What the body must contain.
    #[serde(rename = "match")]
    pub match_body: Option<String>,
    /// What the headers must contain.
    pub match_header: Option<String>,
    /// Whether the certificate is checked; null: there is none.
    pub verify: Option<bool>,
    /// Against the certificates in this file; null: those of the system, or none.
    pub ca: Option<String>,
}

impl StallReport {
    pub(super) fn of(entry: &Entry, check: &StallCheck) -> Self {
        const NANOS: u64 = 1_000_000_000;
        let Ask { how, host, port, limit: Span(limit) } = Ask::of(entry, check);
        Self {
            block: check.kind().block(),
            interval_s: check.timing().interval().0,
            retry_over_s: check.timing().retry_over().0,
            port: port.number(),
            host: host.as_ref().map(Bytes::to_string),
            timeout_s: limit / NANOS,
            http: match how {
                How::Http(http) => HttpReport::of(&http),
                How::Smtp | How::Tcp => HttpReport::default(),
            },
            exec_error: match check.after_stall() {
                AfterStall::GoOn => 0,
                AfterStall::Stop => 1,
            },
            action_error: match check.after_failed_kill() {
                AfterFailedKill::Nothing => 0,
                AfterFailedKill::RetryOver => 1,
            },
        }
    }

    /// What is asked, on one line.
    #[must_use]
    pub fn asked(&self) -> String {
        let Self { timeout_s, http, exec_error, action_error, .. } = self;
        let mut parts = match (http.method, &http.path) {
            (Some(method), Some(path)) => vec![format!("{method} {path} within {timeout_s} s")],
            (_, _) => vec![format!("a connection within {timeout_s} s")],
        };
        let count = http.headers.len();
        parts.extend((count > 0).then(|| format!("{count} more header{}", if count == 1 { "" } else { "s" })));
        if http.method.is_some() {
            parts.push(
                http.status.as_ref().map_or_else(|| "any status".to_owned(), |status| format!("status {status}")),
            );
        }
        parts.extend(http.match_body.as_ref().map(|text| format!("`{text}` in the body")));
        parts.extend(http.match_header.as_ref().map(|text| format!("`{text}` in the headers")));
        parts.extend(http.verify.map(|verify| match (verify, &http.ca) {
            (false, _) => "certificate not checked".to_owned(),
            (true, None) => "certificate checked".to_owned(),
            (true, Some(file)) => format!("certificate checked against {file}"),
        }));
        parts.push(format!("EXEC error {exec_error}, ACTION error {action_error}"));
        parts.join("; ")
    }
}

impl HttpReport {
    fn of(http: &HttpAsk) -> Self {
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map(Bytes::to_string);
        Self {
            path: Some(http.path.to_string()),
            method: Some(http.sent().name()),
            headers: http.headers.iter().map(Bytes::to_string).collect(),
            status: statuses(&http.statuses),
            match_body: text(&http.match_body),
            match_header: text(&http.match_header),
            verify: http.tls.as_ref().map(|tls| tls.verify),
            ca: http.tls.as_ref().filter(|tls| tls.verify).and_then(|tls| Some(tls.ca.as_ref()?.to_string())),
        }
    }
}

/// As `status=` has it.
fn statuses(statuses: &Statuses) -> Option<String> {
    match statuses {
        Statuses::Any => None,
        Statuses::NoErrors => Some("100-399".to_owned()),
        Statuses::Only(ranges) => Some(ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
    }
}
