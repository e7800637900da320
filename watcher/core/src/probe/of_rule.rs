//! What a stall check asks, by its block and the extensions of its entry.

use super::{Ask, How, HttpAsk, HttpVersion, Statuses, TlsAsk};
use crate::{
    Span,
    pfile::{Bytes, Entry, Extension, Method, Seconds, StallCheck, StallKind},
};

/// Time limit of a check where none is given, unless the interval is shorter.
const LIMIT: Seconds = Seconds(10);

impl Ask {
    /// What a check of this entry asks. An extension goes before the block's own argument.
    #[must_use]
    pub fn of(entry: &Entry, check: &StallCheck) -> Self {
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
        for extension in &entry.extensions {
            match &extension.value {
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
