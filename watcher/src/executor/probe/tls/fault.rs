//! What goes wrong in TLS, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, pki_types::ServerName};
use watcher_core::probe::{Fault, Step};

use super::{Certificate, verifier::NotAccepted};
use crate::executor::probe::{connect::errno, text};

/// How many names are told.
const ENOUGH_NAMES: usize = 3;

/// Why hands could not be shaken, given how the other side began.
pub(super) fn of_handshake(error: &io::Error, first: &[u8]) -> Fault {
    // Records of TLS begin with their type and a 3.
    let is_tls = matches!(first, [] | [0x14..=0x17] | [0x14..=0x17, 0x03, ..]);
    if !is_tls {
        let why = format!("this is not TLS, the server answers in the clear: {}", text::start(first));
        return Fault::Tls { why };
    }
    let broken = || match error.kind() == io::ErrorKind::UnexpectedEof {
        true => Fault::Closed { step: Step::Tls },
        false => Fault::Receive { errno: errno(error) },
    };
    fault_within(error).unwrap_or_else(broken)
}

/// The fault in TLS that an error tells of, if it does.
pub(in super::super) fn fault_within(error: &io::Error) -> Option<Fault> {
    rustls_error(error).map(of)
}

/// The certificate that was not accepted.
pub(super) fn certificate_within(error: &io::Error) -> Option<Certificate> {
    match rustls_error(error) {
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.0.downcast_ref::<NotAccepted>().and_then(|not_accepted| not_accepted.certificate.clone())
        }
        Some(_) | None => None,
    }
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls names scores of errors, and adds more")]
fn of(error: &Error) -> Fault {
    let tls = |why: &str| Fault::Tls { why: why.to_owned() };
    match error {
        Error::PeerIncompatible(why) => Fault::TlsUnusable { why: in_words(why) },
        Error::AlertReceived(alert) => unsuited(*alert).map_or_else(
            || tls(&format!("the server refuses it (alert `{}`)", in_words(alert))),
            |why| Fault::TlsUnusable { why },
        ),
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            tls("the server does not have the key that belongs to its certificate")
        }
        Error::InvalidCertificate(CertificateError::Other(other)) => tls(&other.to_string()),
        Error::InvalidMessage(_) => tls("the server breaks the rules of TLS: what it sends cannot be read"),
        Error::PeerMisbehaved(why) => tls(&format!("the server breaks the rules of TLS: {}", in_words(why))),
        other => tls(&other.to_string()),
    }
}

/// What a server says that lives and has understood us, but does not want to be asked as we ask: that is no fault of its.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls names scores of alerts, and adds more")]
fn unsuited(alert: AlertDescription) -> Option<String> {
    match alert {
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => {
            Some(format!("it refuses what is offered (alert `{}`)", in_words(&alert)))
        }
        // We send none, so the second cannot be about one of ours.
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => {
            Some("it wants a certificate of the client".to_owned())
        }
        AlertDescription::UnrecognisedName => Some("it is not known by this name: name its host".to_owned()),
        _ => None,
    }
}

/// A name such as `ProtocolVersion`, as words.
fn in_words(name: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() && !words.ends_with(|last: char| last.is_ascii_uppercase())
        {
            words.push(' ');
        }
        words.push(letter);
    }
    words.to_ascii_lowercase()
}

/// Why a certificate is not accepted.
pub(super) fn of_certificate(error: &Error, certificate: Option<&Certificate>, name: &ServerName<'_>) -> String {
    let date = |of: fn(&Certificate) -> String| certificate.map_or_else(String::new, of);
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls names scores of errors, and adds more")]
    let error = match error {
        Error::InvalidCertificate(error) => error,
        other => return format!("its certificate is not accepted: {other}"),
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls names scores of errors, and adds more")]
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired: it was valid until {}", date(Certificate::valid_until))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet: it will be from {} on", date(Certificate::valid_from))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for {}, but for {}", name.to_str(), names(certificate))
        }
        CertificateError::UnknownIssuer => match certificate {
            Some(certificate) if certificate.self_signed => {
                format!("its certificate is self-signed ({}), and not one of those to trust", certificate.subject)
            }
            Some(certificate) => {
                format!("its certificate is issued by {}, which is not to be trusted", certificate.issuer)
            }
            None => "its certificate is issued by somebody who is not to be trusted".to_owned(),
        },
        CertificateError::BadSignature => {
            let issuer = certificate.map_or("somebody", |certificate| &certificate.issuer);
            format!("its certificate says that {issuer} issued it, which is not so")
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        // What webpki says of a certificate that is its own authority.
        CertificateError::Other(_) if certificate.is_some_and(|it| it.self_signed) => {
            "its certificate is self-signed, and not one of those to trust".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

fn names(certificate: Option<&Certificate>) -> String {
    let names = certificate.map_or(&[][..], |certificate| &certificate.names);
    let more = if names.len() > ENOUGH_NAMES { ", and more" } else { "" };
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    names.iter().take(ENOUGH_NAMES).cloned().collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_errors_become_words() {
        assert_eq!(in_words(&AlertDescription::HandshakeFailure), "handshake failure");
        assert_eq!(in_words(&AlertDescription::UnknownCA), "unknown ca");
    }
}
