//! What is held against a server: nothing, or authorities.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use watcher_core::{pfile::AbsolutePath, probe::TlsAsk};

use super::verifier::{AnyServer, Verified};

/// A configuration, which keeps the keys of sessions: with them, the next connection is cheap. Reads files.
pub(in super::super) fn config(ask: &TlsAsk) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = builder.dangerous();
    let algorithms = provider.signature_verification_algorithms;
    if !ask.verify {
        let verifier = Arc::new(AnyServer::new(algorithms));
        return Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()));
    }
    let authorities = match &ask.ca {
        Some(path) => of_file(path)?,
        None => of_system()?,
    };
    let mut roots = RootCertStore::empty();
    // What cannot be an authority may still be the server's own certificate.
    let (usable, _) = roots.add_parsable_certificates(authorities.iter().cloned());
    let webpki = match usable {
        0 => None,
        _ => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            Some(verifier.map_err(|error| error.to_string())?)
        }
    };
    // The system's hundreds of authorities are no servers.
    let pinned = if ask.ca.is_some() { authorities } else { Vec::new() };
    let verifier = Arc::new(Verified::new(webpki, pinned, algorithms));
    Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Why nothing can be checked against a file of authorities, as a sentence; none: it can. Reads the file.
#[must_use]
pub fn unusable_ca(path: &AbsolutePath) -> Option<String> {
    let file = as_path(path);
    // Whoever reads a pipe waits, and takes what a check would read.
    if std::fs::metadata(file).is_ok_and(|data| !data.is_file()) {
        return Some(format!("{} is not a file", file.display()));
    }
    of_file(path).err()
}

fn as_path(path: &AbsolutePath) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(path.as_slice()))
}

fn of_file(path: &AbsolutePath) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = as_path(path);
    let unreadable = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", file.display());
    let bytes = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| unreadable(&error))?;
    if found.is_empty() {
        return Err(format!(
            "{} has no certificate in it (it is to be in PEM: `-----BEGIN CERTIFICATE-----`)",
            file.display()
        ));
    }
    Ok(found)
}

/// Where distributions keep them differs; the crate knows, and heeds `SSL_CERT_FILE`, as others do.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs);
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    Err(format!("this host has no certificates of authorities{why}: install ca-certificates, or name a file by `ca=`"))
}
