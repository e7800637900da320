//! What is monitored, and by which name.

use crate::{
    pfile::{Bytes, Method},
    probe::{HttpAsk, HttpVersion, Statuses},
};

/// Which of the two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `clp_httpmon`
    Http,
    /// `clp_smtpmon`
    Smtp,
}

impl Kind {
    /// The name of the command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Http => "clp_httpmon",
            Self::Smtp => "clp_smtpmon",
        }
    }

    /// What it monitors, as messages name it.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Smtp => "SMTP",
        }
    }
}

/// Identifies one running monitor of its kind: up to 255 letters and digits, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// The longest one, in bytes.
    pub const LONGEST: usize = 255;

    /// An identifier, unless these bytes cannot be one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let is_one = (1..=Self::LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_alphanumeric);
        is_one.then(|| Self(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is asked by HTTP. Who answers `/` is alive, whatever he answers; of any other URI an error is a fault.
#[must_use]
pub fn ask_http(version: HttpVersion, uri: Bytes) -> HttpAsk {
    HttpAsk {
        tls: None,
        version,
        method: Method::Head,
        statuses: if uri.as_slice() == b"/" { Statuses::Any } else { Statuses::NoErrors },
        path: uri,
        headers: Vec::new(),
        match_header: None,
        match_body: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_letters_and_digits() {
        for good in ["a", "0", "httpwatch", "Web1", &"x".repeat(255)] {
            assert_eq!(Id::new(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a-b", "../a", "wé", "a\n", &"x".repeat(256)] {
            assert_eq!(Id::new(bad.as_bytes()), None, "{bad:?}");
        }
        assert_ne!(Id::new(b"web"), Id::new(b"Web"));
    }

    #[test]
    fn an_error_is_a_fault_where_a_page_was_asked_for() {
        let accepts = |uri: &str, code| ask_http(HttpVersion::V1_1, uri.into()).statuses.accept(code);
        assert!(accepts("/", 404) && accepts("/", 503));
        assert!(accepts("/a", 200) && accepts("/a", 302) && accepts("/a", 399));
        assert!(!accepts("/a", 400) && !accepts("/a", 503) && !accepts("//", 404));
    }
}
