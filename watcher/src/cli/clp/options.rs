//! The options that say what is asked, when, and how often: their values, ranges and defaults.

use serde_json::json;
use watcher_core::{
    Span,
    monitor::{Kind, Plan, ask_http},
    pfile::{Bytes, Port},
    probe::{Ask, How, HttpVersion},
};

/// The longest server name, and the longest URI, in bytes.
const LONGEST: usize = 255;
/// What intervals, retries and waits can be.
const MOST: u32 = 10_000;

/// What a monitor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) kind: Kind,
    pub(super) server: String,
    pub(super) port: Port,
    pub(super) interval: u32,
    pub(super) retries: u32,
    pub(super) wait: u32,
    pub(super) version: HttpVersion,
    pub(super) uri: String,
}

impl Options {
    /// What holds where nothing is said.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        let port = match kind {
            Kind::Http => 80,
            Kind::Smtp => 25,
        };
        Some(Self {
            kind,
            server: "localhost".to_owned(),
            port: Port::new(port)?,
            interval: 60,
            retries: 3,
            wait: 10,
            version: HttpVersion::V1_1,
            uri: "/".to_owned(),
        })
    }

    /// Takes a value.
    pub(super) fn set(&mut self, option: &str, value: &[u8]) -> Result<(), String> {
        match option {
            "-s" => self.server = server(value)?,
            "-n" => self.port = port(value)?,
            "-i" => self.interval = number("-i", "INTERVAL, in seconds,", value)?,
            "-c" => self.retries = number("-c", "RETRIES", value)?,
            "-r" => self.wait = number("-r", "WAIT, in seconds,", value)?,
            "-v" => self.version = version(value)?,
            _ => self.uri = uri(value)?,
        }
        Ok(())
    }

    pub(super) fn plan(&self) -> Plan {
        let Self { interval, retries, wait, .. } = *self;
        Plan { interval: Span::of_seconds(interval), retries, limit: Span::of_seconds(wait) }
    }

    pub(super) fn ask(&self) -> Ask {
        let Self { kind, server, port, wait, version, uri, .. } = self;
        let how = match kind {
            Kind::Http => How::Http(ask_http(*version, Bytes::from(uri.as_str()))),
            Kind::Smtp => How::Smtp,
        };
        Ask { how, host: Some(server.as_str().into()), port: *port, limit: Span::of_seconds(*wait) }
    }

    /// As it stands in the record.
    pub(super) fn json(&self) -> serde_json::Value {
        let Self { kind, server, port, interval, retries, wait, version, uri } = self;
        let port = port.number();
        let version = match version {
            HttpVersion::V1_0 => "1.0",
            HttpVersion::V1_1 => "1.1",
        };
        match kind {
            Kind::Http => json!({
                "server": server, "port": port, "interval_s": interval, "retries": retries, "wait_s": wait,
                "version": version, "uri": uri,
            }),
            Kind::Smtp => json!({
                "server": server, "port": port, "interval_s": interval, "retries": retries, "wait_s": wait,
            }),
        }
    }
}

/// A whole number within the range that the manual gives.
pub(super) fn number(option: &str, what: &str, value: &[u8]) -> Result<u32, String> {
    digits(value)
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| format!("{option} {}: {what} must be a whole number, 1 to {MOST}", shown(value)))
}

/// A word as it is shown: not more of it than anybody would read.
pub(super) fn shown(value: &[u8]) -> String {
    const ENOUGH: usize = 80;
    let start = String::from_utf8_lossy(value.get(..ENOUGH).unwrap_or(value)).into_owned();
    if value.len() > ENOUGH { start + "…" } else { start }
}

/// No sign, no blank.
fn digits(value: &[u8]) -> Option<u32> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

fn port(value: &[u8]) -> Result<Port, String> {
    digits(value).and_then(Port::new).ok_or_else(|| {
        format!("-n {}: PORT must be a number, 1 to 65535 (names of services are not read)", shown(value))
    })
}

fn server(value: &[u8]) -> Result<String, String> {
    word(value).ok_or_else(|| {
        format!("-s {}: SERVER must be a name or an address of 1 to {LONGEST} bytes, without blanks", shown(value))
    })
}

fn uri(value: &[u8]) -> Result<String, String> {
    word(value).filter(|uri| uri.starts_with('/')).ok_or_else(|| {
        format!("-h {}: URI must begin with / and have 1 to {LONGEST} bytes, none of them a blank", shown(value))
    })
}

fn version(value: &[u8]) -> Result<HttpVersion, String> {
    match value {
        b"1.0" => Ok(HttpVersion::V1_0),
        b"1.1" => Ok(HttpVersion::V1_1),
        _ => Err(format!("-v {}: VERSION must be 1.0 or 1.1", shown(value))),
    }
}

/// Text without blanks and control characters, neither empty nor too long.
fn word(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok().filter(|text| (1..=LONGEST).contains(&text.len()))?;
    let is_one = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(option: &str, value: &str) -> Result<Options, String> {
        let mut options = Options::of(Kind::Http).unwrap();
        options.set(option, value.as_bytes()).map(|()| options)
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        assert_eq!(
            Options::of(Kind::Http).unwrap().json().to_string(),
            r#"{"interval_s":60,"port":80,"retries":3,"server":"localhost","uri":"/","version":"1.1","wait_s":10}"#
        );
        assert_eq!(
            Options::of(Kind::Smtp).unwrap().json().to_string(),
            r#"{"interval_s":60,"port":25,"retries":3,"server":"localhost","wait_s":10}"#
        );
    }

    #[test]
    fn ranges_are_those_of_the_manual() {
        for option in ["-i", "-c", "-r"] {
            assert!(set(option, "1").is_ok() && set(option, "10000").is_ok());
            for bad in ["0", "10001", "-1", "+1", " 1", "1 ", "", "1.5", "ten", "99999999999"] {
                let why = set(option, bad).unwrap_err();
                assert!(why.starts_with(&format!("{option} {bad}: ")) && why.ends_with("1 to 10000"), "{why}");
            }
        }
        assert_eq!(set("-n", "65535").unwrap().port.number(), 65535);
        for bad in ["0", "65536", "http", "-1", ""] {
            assert!(set("-n", bad).unwrap_err().contains("1 to 65535"));
        }
        assert_eq!(set("-v", "1.0").unwrap().version, HttpVersion::V1_0);
        assert!(set("-v", "2").unwrap_err().contains("1.0 or 1.1"));
    }

    #[test]
    fn texts_are_bounded_and_send_nothing_else_along() {
        for good in ["h", "::1", "www.example.org", &"x".repeat(255)] {
            assert_eq!(set("-s", good).unwrap().server, good);
        }
        for bad in ["", "a b", "a\r\nb", &"x".repeat(256)] {
            assert!(set("-s", bad).unwrap_err().contains("255 bytes"));
        }
        let longest = format!("/{}", "x".repeat(254));
        for good in ["/", "/a?b=c", &longest] {
            assert_eq!(set("-h", good).unwrap().uri, good);
        }
        for bad in ["", "*", "a", "http://a/", "/a b", "/a\r\nHost: b", &(longest + "x")] {
            assert!(set("-h", bad).unwrap_err().contains("must begin with /"));
        }
        assert!(set("-h", &"y".repeat(300)).unwrap_err().len() < 250, "nobody reads all of that");
    }

    #[test]
    fn what_is_asked_is_what_was_said() {
        let mut options = Options::of(Kind::Http).unwrap();
        for (option, value) in [("-s", "::1"), ("-n", "8080"), ("-r", "3"), ("-h", "/x"), ("-v", "1.0"), ("-c", "7")] {
            options.set(option, value.as_bytes()).unwrap();
        }
        let Ask { how, host, port, limit } = options.ask();
        let asked = How::Http(ask_http(HttpVersion::V1_0, "/x".into()));
        assert_eq!((how, host, port.number(), limit), (asked, Some("::1".into()), 8080, Span::of_seconds(3)));
        let plan = Plan { interval: Span::of_seconds(60), retries: 7, limit };
        assert_eq!(options.plan(), plan);
        assert_eq!(Options::of(Kind::Smtp).unwrap().ask().how, How::Smtp);
    }
}
