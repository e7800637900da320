//! Probes: a service is asked once, and one verdict comes back. What is made of verdicts is said elsewhere.

mod fault;
mod of_rule;

pub use fault::{Fault, Step};
pub use of_rule::in_pfile;

use crate::{
    Span,
    pfile::{AbsolutePath, Bytes, Method, Port, StatusRange},
};

/// What is asked, of whom, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// In which language.
    pub how: How,
    /// A name or an address; this host where none is given.
    pub host: Option<Bytes>,
    /// TCP port.
    pub port: Port,
    /// For all of it: name, connection, TLS and answer.
    pub limit: Span,
}

/// In which language a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// HTTP, over TLS or not.
    Http(HttpAsk),
    /// SMTP: a greeting, and an answer to `NOOP`.
    Smtp,
    /// A TCP connection can be made.
    Tcp,
}

/// A request by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAsk {
    /// How to make sure of the server, over TLS; none: in the clear.
    pub tls: Option<TlsAsk>,
    /// The version that is spoken.
    pub version: HttpVersion,
    /// `HEAD`, or `GET`.
    pub method: Method,
    /// What is asked for.
    pub path: Bytes,
    /// More headers, each as `Name: value`.
    pub headers: Vec<Bytes>,
    /// Which status codes are good.
    pub statuses: Statuses,
    /// What the headers of the answer must contain.
    pub match_header: Option<Bytes>,
    /// What the body of the answer must contain.
    pub match_body: Option<Bytes>,
}

impl HttpAsk {
    /// The method that is sent. Where the body must contain something the whole answer is asked for, whatever is said.
    #[must_use]
    pub const fn sent(&self) -> Method {
        if self.match_body.is_some() { Method::Get } else { self.method }
    }
}

/// How to make sure of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsAsk {
    /// Check its certificate. The original does not.
    pub verify: bool,
    /// Against these authorities, instead of the system's.
    pub ca: Option<AbsolutePath>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// 1.0
    V1_0,
    /// 1.1
    V1_1,
}

/// Which status codes are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// Any: whoever answers is no stall.
    Any,
    /// Those that are no errors: below 400.
    NoErrors,
    /// One of these.
    Only(Vec<StatusRange>),
}

impl Statuses {
    /// Whether a code is good.
    #[must_use]
    pub fn accept(&self, code: u16) -> bool {
        match self {
            Self::Any => true,
            Self::NoErrors => code < 400,
            Self::Only(ranges) => ranges.iter().any(|range| range.contains(code)),
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The service answers as it should.
    Good {
        /// For how many days its certificate is valid yet; none where there is no certificate, or it cannot be read.
        certificate_days: Option<i64>,
    },
    /// It does not.
    Bad(Fault),
}
