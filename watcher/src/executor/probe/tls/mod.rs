//! TLS: who is spoken with, and what was agreed on.

mod certificate;
mod config;
mod fault;
mod verifier;

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, pki_types::ServerName};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsConnector, client::TlsStream};
use watcher_core::{
    pfile::Bytes,
    probe::{Fault, Step},
};

use super::{attempt::Progress, names, wire::Tap};
pub use certificate::Certificate;
pub(super) use config::config;
pub use config::unusable_ca;
pub(super) use fault::fault_within;

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Such as `TLS 1.3`.
    pub version: &'static str,
    /// By its registered name.
    pub cipher: String,
    /// Whether keys of an earlier connection were used again.
    pub resumed: bool,
}

/// Shakes hands.
pub(super) async fn connect(
    stream: TcpStream,
    config: Arc<ClientConfig>,
    host: Option<&Bytes>,
    address: SocketAddr,
    at: &mut Progress,
) -> Result<TlsStream<Tap>, Fault> {
    at.step = Step::Tls;
    let begun = Instant::now();
    let name = server_name(host, address)?;
    let shaken = TlsConnector::from(config).connect(name, Tap::new(stream)).into_fallible().await;
    let stream = shaken.map_err(|(error, tap)| {
        at.certificate = fault::certificate_within(&error);
        fault::of_handshake(&error, tap.first())
    })?;
    at.timings.tls = Some(begun.elapsed());
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(_) | None => "TLS",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let cipher = suite.unwrap_or("unknown").trim_start_matches("TLS13_").to_owned();
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    at.tls = Some(Agreed { version, cipher, resumed });
    at.certificate = connection.peer_certificates().and_then(<[_]>::first).and_then(|der| Certificate::read(der));
    Ok(stream)
}

/// By which name a server is asked. This host goes by `localhost`; an address is sent to nobody, but it can be verified.
fn server_name(host: Option<&Bytes>, address: SocketAddr) -> Result<ServerName<'static>, Fault> {
    let host = host.map_or(b"localhost".as_slice(), Bytes::as_slice);
    if names::address(host).is_some() {
        return Ok(ServerName::IpAddress(address.ip().into()));
    }
    let name = std::str::from_utf8(host).ok().and_then(|host| ServerName::try_from(host.to_owned()).ok());
    name.ok_or_else(|| Fault::Address { code: 0, why: "its name cannot be said in TLS".to_owned() })
}
