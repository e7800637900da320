//! Servers of HTTPS: those that are to be trusted, those that are not, and those that speak something else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
};

use probe_support::{LONG, Peer, SHORT, answers, ask, attempt, http, runtime, until_closed, words};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use watcher::executor::probe::{Attempt, Prober};
use watcher_core::{
    ProbeId,
    pfile::{AbsolutePath, Bytes, Port},
    probe::{Ask, Fault, How, HttpAsk, TlsAsk, Verdict},
};

/// An authority, in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> AbsolutePath {
        AbsolutePath::new(self.folder.path().join("ca.pem").as_os_str().as_encoded_bytes()).unwrap()
    }

    fn signs(&self, params: &CertificateParams) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        config(params.signed_by(&key, &self.issuer).unwrap().der().to_vec(), &key)
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn config(certificate: Vec<u8>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate.into()], key).unwrap())
}

/// A server of HTTPS. Whoever breaks the handshake off gets nothing.
fn serves(config: Arc<ServerConfig>) -> Peer<()> {
    Peer::new(move |mut stream| {
        let mut connection = ServerConnection::new(config).unwrap();
        let mut tls = rustls::Stream::new(&mut connection, &mut stream);
        let mut heard = [0; 1024];
        if tls.read(&mut heard).is_ok_and(|count| count > 0) {
            // No farewell, as is common.
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        }
    })
}

fn asked(host: &str, port: Port, tls: TlsAsk) -> Ask {
    let how = How::Http(HttpAsk { tls: Some(tls), ..http() });
    Ask { how, host: Some(Bytes::from(host)), port, limit: LONG }
}

fn any() -> TlsAsk {
    TlsAsk::default()
}

fn verified(authority: &Authority) -> TlsAsk {
    TlsAsk { verify: true, ca: Some(authority.file()) }
}

fn shown(host: &str, config: &Arc<ServerConfig>, tls: TlsAsk) -> String {
    words(&attempt(asked(host, serves(config.clone()).port(), tls)))
}

#[test]
fn a_certificate_is_read_whoever_issued_it() {
    let mut params = named("localhost");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let key = KeyPair::generate().unwrap();
    let server = serves(config(params.self_signed(&key).unwrap().der().to_vec(), &key));
    let Attempt { verdict, tls, certificate, answer, timings, .. } = attempt(asked("localhost", server.port(), any()));
    let certificate = certificate.unwrap();
    assert_eq!(verdict, Verdict::Good { certificate_days: Some(certificate.days_left) });
    assert!(certificate.days_left < -1000 && certificate.self_signed);
    assert_eq!(
        (certificate.subject.as_str(), certificate.names.as_slice()),
        ("CN=localhost", &["localhost".to_owned()][..])
    );
    assert_eq!(certificate.valid_until(), "2021-01-01T00:00:00Z");
    assert_eq!((certificate.not_before, certificate.not_after), (1_577_836_800, 1_609_459_200));
    let tls = tls.unwrap();
    assert_eq!((tls.version, tls.resumed), ("TLS 1.3", false));
    assert!(tls.cipher.contains("GCM") || tls.cipher.contains("CHACHA20"), "{}", tls.cipher);
    assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"));
    assert!(timings.tls.is_some());
}

#[test]
fn a_certificate_that_an_authority_vouches_for_is_taken() {
    let authority = Authority::new();
    let server = authority.signs(&named("localhost"));
    assert_eq!(shown("localhost", &server, verified(&authority)), "good");
    let address = authority.signs(&named("127.0.0.1"));
    assert_eq!(shown("127.0.0.1", &address, verified(&authority)), "good");
}

#[test]
fn a_certificate_that_is_named_itself_is_taken() {
    let key = KeyPair::generate().unwrap();
    let certificate = named("localhost").self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
    let tls = TlsAsk { verify: true, ca: AbsolutePath::new(path.as_os_str().as_encoded_bytes()) };
    let server = config(certificate.der().to_vec(), &key);
    assert_eq!(shown("localhost", &server, tls.clone()), "good");
    let wrong = shown("127.0.0.1", &server, tls);
    assert_eq!(wrong, "fails in TLS: its certificate is not for 127.0.0.1, but for localhost");
}

#[test]
fn why_a_certificate_is_not_taken_is_told() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut expired = named("localhost");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = named("localhost");
    early.not_before = date_time_ymd(2120, 1, 1);
    early.not_after = date_time_ymd(2121, 1, 1);
    let key = KeyPair::generate().unwrap();
    let own = config(named("localhost").self_signed(&key).unwrap().der().to_vec(), &key);
    for (server, expected) in [
        (authority.signs(&expired), "its certificate has expired: it was valid until 2021-01-01T00:00:00Z"),
        (authority.signs(&early), "its certificate is not valid yet: it will be from 2120-01-01T00:00:00Z on"),
        (authority.signs(&named("example.org")), "its certificate is not for localhost, but for example.org"),
        (other.signs(&named("localhost")), "its certificate says that CN=Test Authority issued it, which is not so"),
        (own, "its certificate is self-signed"),
    ] {
        let attempt = attempt(asked("localhost", serves(server).port(), verified(&authority)));
        let shown = words(&attempt);
        assert!(shown.starts_with(&format!("fails in TLS: {expected}")), "{shown}");
        // It is shown all the same.
        assert!(attempt.certificate.is_some());
    }
    let unknown = TlsAsk { verify: true, ca: None };
    let shown = shown("localhost", &authority.signs(&named("localhost")), unknown);
    assert!(
        shown.contains("issued by CN=Test Authority") || shown.contains("no certificates of authorities"),
        "{shown}"
    );
}

#[test]
fn authorities_that_cannot_be_read_are_our_fault() {
    let authority = Authority::new();
    std::fs::write(authority.folder.path().join("ca.pem"), "nothing").unwrap();
    let port = Port::new(1).unwrap();
    for tls in [verified(&authority), TlsAsk { verify: true, ca: AbsolutePath::new(b"/no/such/file") }] {
        let attempt = attempt(asked("localhost", port, tls));
        assert!(matches!(attempt.verdict, Verdict::Bad(Fault::Trust { .. })), "{attempt:?}");
    }
}

#[test]
fn whoever_speaks_something_else_is_told() {
    let clear = Peer::new(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        until_closed(&mut stream);
    });
    assert_eq!(
        words(&attempt(asked("localhost", clear.port(), any()))),
        "fails in TLS: this is not TLS, the server answers in the clear: `HTTP/1.1 400 Bad Request\\r\\n\\r\\n`"
    );
    let says = |alert: u8| {
        let peer = Peer::new(move |mut stream| {
            stream.write_all(&[0x15, 3, 1, 0, 2, 2, alert]).unwrap();
            until_closed(&mut stream);
        });
        attempt(asked("localhost", peer.port(), any()))
    };
    let old = says(70);
    assert!(
        matches!(&old.verdict, Verdict::Bad(fault @ Fault::TlsUnusable { .. }) if !fault.may_be_of_service()),
        "{old:?}"
    );
    assert_eq!(words(&says(80)), "fails in TLS: the server refuses it (alert `internal error`)");
    let unknown = words(&says(112));
    assert!(unknown.ends_with("it is not known by this name: name its host"), "{unknown}");
    // A server of TLS 1.1, as far as its first words go.
    let hello: Vec<u8> = [&[0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let peer = Peer::new(move |mut stream| {
        stream.write_all(&hello).unwrap();
        until_closed(&mut stream);
    });
    let old = attempt(asked("localhost", peer.port(), any()));
    assert!(matches!(old.verdict, Verdict::Bad(Fault::TlsUnusable { .. })), "{old:?}");
    // And one who wanted to hear TLS, and hears HTTP.
    let plain = answers([0x15, 3, 1, 0, 2, 2, 22]);
    let shown = words(&attempt(ask(How::Http(http()), plain.port(), LONG)));
    assert_eq!(shown, "does not answer in HTTP but in TLS: HTTPS is to be spoken here");
}

#[test]
fn handshakes_that_do_not_end_have_an_end() {
    let ends = Peer::new(drop);
    let shown = words(&attempt(asked("localhost", ends.port(), any())));
    assert!(
        ["ends the connection in the TLS handshake", "breaks the connection: connection reset"].contains(&&*shown),
        "{shown}"
    );
    let silent = Peer::new(|mut stream| until_closed(&mut stream));
    let shown = words(&attempt(Ask { limit: SHORT, ..asked("localhost", silent.port(), any()) }));
    assert_eq!(shown, "does not complete the TLS handshake in time");
}

/// It is told only after the handshake, as far as a client of TLS 1.3 can see.
#[test]
fn a_server_that_wants_a_certificate_of_ours_is_told() {
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(authority.folder.path().join("ca.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = named("localhost").signed_by(&key, &authority.issuer).unwrap().der().clone();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = builder.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key).unwrap();
    let attempt = attempt(asked("localhost", serves(Arc::new(server)).port(), any()));
    assert!(words(&attempt).ends_with("it wants a certificate of the client"), "{attempt:?}");
    // It lives: nobody should end it for that.
    assert!(matches!(&attempt.verdict, Verdict::Bad(fault) if !fault.may_be_of_service()));
}

#[test]
fn the_second_time_is_cheaper() {
    let authority = Authority::new();
    let (config, socket) = (authority.signs(&named("localhost")), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = Port::new(socket.local_addr().unwrap().port().into()).unwrap();
    let server = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = socket.accept().unwrap();
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            assert!(tls.read(&mut [0; 1024]).unwrap() > 0);
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        }
    });
    let resumed: Vec<_> = runtime().block_on(async {
        let (mut prober, mut resumed) = (Prober::new(), Vec::new());
        for number in 0..2 {
            let mut done = Vec::new();
            prober.start(ProbeId(number), Arc::new(asked("localhost", port, verified(&authority))));
            prober.ready(&mut done).await;
            let (_, attempt) = done.pop().unwrap();
            assert!(matches!(attempt.verdict, Verdict::Good { certificate_days: Some(_) }), "{attempt:?}");
            resumed.push(attempt.tls.unwrap().resumed);
        }
        resumed
    });
    assert_eq!(resumed, [false, true]);
    server.join().unwrap();
}
