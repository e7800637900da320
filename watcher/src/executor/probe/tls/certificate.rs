//! What a certificate says.

use std::net::IpAddr;

use x509_cert::{
    der::{Decode as _, asn1::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use crate::{executor::probe::text, sys::clock};

const DAY: i64 = 86_400;
/// More names are not shown.
const MOST_NAMES: usize = 100;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Shorter ones cannot be used by us: 2048 bits.
const SHORTEST_RSA: usize = 256;

/// A server's certificate, as far as people ask for it. Its texts are made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// The first second in which it is valid, since 1970.
    pub not_before: i64,
    /// The last one.
    pub not_after: i64,
    /// For how many whole days it is valid yet, by the wall clock; negative when it has expired.
    pub days_left: i64,
    /// Whether it vouches for itself.
    pub self_signed: bool,
}

impl Certificate {
    /// When it begins to be valid, in universal time.
    #[must_use]
    pub fn valid_from(&self) -> String {
        date(self.not_before)
    }

    /// When it ends, in universal time.
    #[must_use]
    pub fn valid_until(&self) -> String {
        date(self.not_after)
    }

    /// Reads it, if it can be read.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let body = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
        let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        let (not_before, not_after) = (seconds(body.validity.not_before)?, seconds(body.validity.not_after)?);
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds since 1970")]
        let now = clock::unix_seconds() as i64;
        Some(Self {
            subject: shown(&body.subject),
            issuer: shown(&body.issuer),
            names: body.get::<SubjectAltName>().ok().flatten().map_or_else(Vec::new, |(_, names)| names_of(&names)),
            not_before,
            not_after,
            days_left: (not_after - now).div_euclid(DAY),
            self_signed: body.subject == body.issuer,
        })
    }

    /// Whether its key is too short for us.
    pub(super) fn has_short_key(der: &[u8]) -> bool {
        x509_cert::Certificate::from_der(der).is_ok_and(|certificate| {
            let key = &certificate.tbs_certificate.subject_public_key_info;
            key.algorithm.oid == RSA && key.subject_public_key.raw_bytes().len() < SHORTEST_RSA
        })
    }
}

/// A moment as people write it, in universal time.
fn date(unix_seconds: i64) -> String {
    let since = u64::try_from(unix_seconds).map(std::time::Duration::from_secs).ok();
    let date = since.and_then(|since| x509_cert::der::DateTime::from_unix_duration(since).ok());
    date.map_or_else(|| "an unknown time".to_owned(), |date| date.to_string())
}

fn shown(name: &Name) -> String {
    let text = text::line(name.to_string().as_bytes());
    if text.is_empty() { "no name".to_owned() } else { text }
}

fn names_of(SubjectAltName(names): &SubjectAltName) -> Vec<String> {
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(text::line(name.as_bytes())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            address.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        GeneralName::UniformResourceIdentifier(name) => Some(text::line(name.as_bytes())),
        GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::OtherName(_)
        | GeneralName::RegisteredId(_)
        | GeneralName::Rfc822Name(_) => None,
    };
    names.iter().filter_map(name).take(MOST_NAMES).collect()
}
