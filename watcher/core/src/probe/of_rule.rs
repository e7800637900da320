//! What a stall check asks, by its block and the extensions of its entry.

use super::{Ask, How, HttpAsk, HttpVersion, Statuses, TlsAsk};
use crate::{
    Span,
    pfile::{Bytes, Entry, Extension, Method, Seconds, StallCheck, StallKind, UnknownOptions, print_block, read},
};

/// Time limit of a check where none is given, unless the interval is shorter.
const LIMIT: Seconds = Seconds(10);

impl Ask {
    /// What a check of this entry asks. An extension takes precedence over the block's own argument.
    #[must_use]
    pub fn of(entry: &Entry, check: &StallCheck) -> Self {
        Self::of_check(check, entry.extensions.iter().map(|extension| &extension.value))
    }

    /// The same for a check with these extensions.
    #[must_use]
    pub fn of_check<'a>(check: &StallCheck, extensions: impl IntoIterator<Item = &'a Extension>) -> Self {
        let target = check.target();
        let host = target.host.as_ref().map(|host| host.value.clone());
        let mut limit = target.timeout.unwrap_or_else(|| LIMIT.min(check.timing().interval()));
        let mut tls = TlsAsk::default();
        let mut http = HttpAsk {
            tls: None,
            version: HttpVersion::V1_1,
            method: Method::Head,
            path: target.path.clone().unwrap_or_else(|| Bytes::from("/")),
            headers: Vec::new(),
            statuses: Statuses::Any,
            match_header: None,
            match_body: None,
        };
        for extension in extensions {
            match extension {
                Extension::Ca(path) => tls.ca = Some(path.clone()),
                Extension::Header(header) => http.headers.push(header.clone()),
                Extension::Match(text) => http.match_body = Some(text.clone()),
                Extension::MatchHeader(text) => http.match_header = Some(text.clone()),
                Extension::Method(method) => http.method = *method,
                Extension::Path(path) => http.path = path.clone(),
                Extension::Status(ranges) => http.statuses = Statuses::Only(ranges.clone()),
                Extension::Timeout(seconds) => limit = *seconds,
                Extension::Verify(verify) => tls.verify = *verify,
                Extension::Allow(_)
                | Extension::Backlog(_)
                | Extension::CloseWait(_)
                | Extension::CloseWaitAge(_)
                | Extension::Connections(_)
                | Extension::Descriptors(_)
                | Extension::SocketStall(_)
                | Extension::ExpiryWarn(_)
                | Extension::ScriptTimeout(_)
                | Extension::StallGuard(_) => {}
            }
        }
        let how = match check.kind() {
            StallKind::Socket => How::Tcp,
            StallKind::Web => How::Http(http),
            StallKind::WebTls => How::Http(HttpAsk { tls: Some(tls), ..http }),
        };
        Self { how, host, port: target.port, limit: Span::of_seconds(limit.0) }
    }
}

/// The text that asks this in a pfile: extensions and a block, to be written below an entry; `None` where no block can say it.
#[must_use]
pub fn in_pfile(check: &StallCheck, extensions: &[Extension]) -> Option<Bytes> {
    let block = print_block(check, extensions);
    let text = [b"IPCKEY 0x1\n/a:/b:0:0:exit\n", block.as_slice()].concat();
    // Whatever cannot be said in a block is read as something else, or not at all.
    let reading = read(&text, UnknownOptions::Refuse);
    let entry = reading.pfile.as_ref().and_then(|pfile| pfile.entries.first())?;
    let same = match entry.value.stall_checks.as_slice() {
        [read] => Ask::of(&entry.value, &read.value) == Ask::of_check(check, extensions),
        _ => false,
    };
    same.then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::{Place, Placed, Port, StallTarget, StallTiming};

    fn check(kind: StallKind, host: Option<&str>, timeout: Option<u32>) -> StallCheck {
        let (port, host) = (Port::new(8080).unwrap(), host.map(|host| Placed::new(host.into(), Place::default())));
        let target = StallTarget { port, host, timeout: timeout.map(Seconds), path: None };
        StallCheck::new(kind, StallTiming::default(), target)
    }

    #[test]
    fn what_is_asked_can_be_written_down() {
        let extension = |key: &str, value: &str| Extension::of(key, value.as_bytes()).unwrap().unwrap();
        let extensions = [extension("status", "200-399"), extension("header", "X: \"a\"")];
        let text = in_pfile(&check(StallKind::Web, Some("10.0.0.1"), None), &extensions).unwrap().to_string();
        assert!(text.starts_with("#@ status=200-399\n#@ header=\"X: \\\"a\\\"\"\n_bi_webserv {\n"), "{text}");
        assert!(text.contains(":60:0:3:600:8080:10.0.0.1\n"), "{text}");
        for kind in StallKind::ALL {
            assert!(in_pfile(&check(kind, None, None), &[]).is_some());
            // A colon would end the field.
            assert!(in_pfile(&check(kind, Some("::2"), None), &[]).is_none());
        }
        assert!(in_pfile(&check(StallKind::Socket, Some("a"), None), &[]).is_none());
        assert!(in_pfile(&check(StallKind::WebTls, None, Some(5)), &[]).is_some());
    }

    #[test]
    fn a_value_is_read_as_in_a_pfile() {
        assert_eq!(
            Extension::of("status", b"2xx").unwrap_err(),
            "`2xx` is not possible here; status codes are 100 to 599, such as 200,301-304"
        );
        assert_eq!(Extension::of("nonsense", b"1"), Ok(None));
    }
}
