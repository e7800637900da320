//! Whether a server is the one that it should be.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use thiserror::Error as ThisError;

use super::{Certificate, fault};

/// Why a certificate is not accepted, with what it says.
#[derive(Clone, Debug, ThisError)]
#[error("{why}")]
pub(super) struct NotAccepted {
    pub(super) why: String,
    pub(super) certificate: Option<Certificate>,
}

/// Signatures that we cannot check, and that say nothing where nobody checks the certificate either.
const UNCHECKED: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP521_SHA512, SignatureScheme::ED448];

/// Takes any certificate, as the original does: whoever answers is no stall.
#[derive(Debug)]
pub(super) struct AnyServer(WebPkiSupportedAlgorithms);

impl AnyServer {
    pub(super) const fn new(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self(algorithms)
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if UNCHECKED.contains(&signature.scheme) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        unless_unknown(verify_tls12_signature(message, certificate, signature, &self.0), certificate)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if UNCHECKED.contains(&signature.scheme) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        unless_unknown(verify_tls13_signature(message, certificate, signature, &self.0), certificate)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes().into_iter().chain(UNCHECKED).collect()
    }
}

/// A wrong signature is a fault of the server's: its key does not fit. A certificate that we cannot read (of version 1, say,
/// or with a key of 1024 bits) is none.
fn unless_unknown(
    verified: Result<HandshakeSignatureValid, Error>,
    certificate: &CertificateDer<'_>,
) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(CertificateError::BadSignature)) if !Certificate::has_short_key(certificate) => {
            Err(Error::InvalidCertificate(CertificateError::BadSignature))
        }
        Err(Error::InvalidCertificate(_)) => Ok(HandshakeSignatureValid::assertion()),
        other => other,
    }
}

/// Takes a certificate that an authority vouches for, or that was named itself.
#[derive(Debug)]
pub(super) struct Verified {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verified {
    pub(super) const fn new(
        authorities: Option<Arc<WebPkiServerVerifier>>,
        pinned: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { authorities, pinned, algorithms }
    }

    /// A self-signed certificate that an operator names is what is wanted, though it is no authority. Its name must fit, and
    /// its time.
    fn verify_pinned(
        &self,
        end_entity: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        self.pinned.iter().find(|pinned| pinned.as_ref() == end_entity.as_ref())?;
        let certificate = Certificate::read(end_entity)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Some(if now < certificate.not_before {
            Err(CertificateError::NotValidYet.into())
        } else if now > certificate.not_after {
            Err(CertificateError::Expired.into())
        } else {
            ParsedCertificate::try_from(end_entity).and_then(|parsed| verify_server_name(&parsed, name))
        })
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match (self.verify_pinned(end_entity, server_name, now), &self.authorities) {
            (Some(verified), _) => verified,
            (None, None) => Err(CertificateError::UnknownIssuer.into()),
            (None, Some(authorities)) => authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_verified| ()),
        };
        verified.map(|()| ServerCertVerified::assertion()).map_err(|error| {
            let certificate = Certificate::read(end_entity);
            let why = fault::of_certificate(&error, certificate.as_ref(), server_name);
            CertificateError::Other(OtherError(Arc::new(NotAccepted { why, certificate }))).into()
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
