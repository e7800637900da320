//! One attempt: what is known of it on the way, and what came of it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use watcher_core::{
    Span,
    probe::{Ask, Fault, How, HttpAsk, Step, Verdict},
};

use super::{
    connect, http,
    lookup::Found,
    names::{Addresses, NoAddress},
    smtp,
    tls::{self, Agreed, Certificate},
    wire,
};

/// When the end of an attempt is noticed so late, it was we who did not run.
const OVERRUN: Duration = Duration::from_secs(1);
/// Ends every attempt, whatever its limit says.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long the parts of an attempt took; none: it did not come to that, or not to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Finding the address.
    pub resolve: Option<Duration>,
    /// Making a connection.
    pub connect: Option<Duration>,
    /// Agreeing on keys.
    pub tls: Option<Duration>,
    /// From asking to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// In a word.
    pub verdict: Verdict,
    /// How long it took.
    pub timings: Timings,
    /// Who took the connection.
    pub address: Option<SocketAddr>,
    /// What was answered: a status line, or a line of SMTP; made harmless.
    pub answer: Option<String>,
    /// What was agreed on in TLS.
    pub tls: Option<Agreed>,
    /// The server's certificate, if it can be read.
    pub certificate: Option<Certificate>,
}

/// How far an attempt has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) step: Step,
    /// Bytes of the answer.
    pub(super) got: usize,
    pub(super) timings: Timings,
    pub(super) address: Option<SocketAddr>,
    pub(super) answer: Option<String>,
    pub(super) tls: Option<Agreed>,
    pub(super) certificate: Option<Certificate>,
}

impl Progress {
    const fn new() -> Self {
        let timings = Timings { resolve: None, connect: None, tls: None, first_byte: None, total: None };
        Self { step: Step::Resolve, got: 0, timings, address: None, answer: None, tls: None, certificate: None }
    }
}

/// What an attempt takes that may have to be found out first.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) addresses: Found<Addresses, NoAddress>,
    /// Where TLS is wanted.
    pub(super) tls: Option<Found<Arc<ClientConfig>, String>>,
}

/// Asks, and gives up in time.
pub(super) async fn run(ask: Arc<Ask>, started: Instant, means: Means) -> Attempt {
    let Span(limit) = ask.limit;
    let deadline = started + Duration::from_nanos(limit).min(LONGEST);
    let mut at = Progress::new();
    // What there is to be read by now is read before the deadline is looked at.
    let verdict = match timeout_at(deadline, ask_it(&ask, started, deadline, means, &mut at)).await {
        Ok(Ok(())) => Verdict::Good { certificate_days: at.certificate.as_ref().map(|it| it.days_left) },
        Ok(Err(fault)) => Verdict::Bad(fault),
        Err(_elapsed) if deadline.elapsed() > OVERRUN => Verdict::Bad(Fault::Overrun),
        Err(_elapsed) => Verdict::Bad(Fault::Silent { step: at.step, got: at.got }),
    };
    at.timings.total = Some(started.elapsed());
    let Progress { step: _, got: _, timings, address, answer, tls, certificate } = at;
    Attempt { verdict, timings, address, answer, tls, certificate }
}

async fn ask_it(
    ask: &Ask,
    started: Instant,
    deadline: Instant,
    Means { addresses, tls }: Means,
    at: &mut Progress,
) -> Result<(), Fault> {
    let addresses = addresses_of(addresses, deadline).await?;
    at.timings.resolve = Some(started.elapsed());
    // Read from files of this host, while nobody is kept waiting at the other end.
    let config = match tls {
        Some(Found::Known(config)) => Some(config),
        Some(Found::Coming { last: _, answer }) => {
            // Nobody else lets it go.
            let config = answer.await.unwrap_or_else(|_gone| Err("nothing came of reading it".to_owned()));
            Some(config.map_err(|why| Fault::Trust { why })?)
        }
        None => None,
    };
    at.step = Step::Connect;
    let begun = Instant::now();
    let addresses: Vec<_> = addresses.iter().map(|address| with_port(*address, ask.port.number())).collect();
    let (mut stream, address) = connect::first(&addresses, deadline).await?;
    at.timings.connect = Some(begun.elapsed());
    at.address = Some(address);
    match (&ask.how, config) {
        (How::Tcp, _) => Ok(()),
        (How::Smtp, _) => {
            let mut conversation = smtp::Conversation::new();
            let result = wire::talk(&mut stream, &[], &mut conversation, at).await;
            at.answer = conversation.greeting();
            wire::leave(&mut stream, smtp::QUIT).await;
            result
        }
        (How::Http(http), None) => ask_http(&mut stream, ask, http, at).await,
        (How::Http(http), Some(config)) => {
            let mut stream = tls::connect(stream, config, ask.host.as_ref(), address, at).await?;
            ask_http(&mut stream, ask, http, at).await
        }
    }
}

async fn ask_http<S>(stream: &mut S, ask: &Ask, http: &HttpAsk, at: &mut Progress) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut answer = http::Answer::new(http);
    let result = wire::talk(stream, &http::request(ask, http), &mut answer, at).await;
    at.answer = answer.status_line();
    wire::leave(stream, &[]).await;
    result
}

/// What the resolver says; if it takes more than half of the time, what it said before.
async fn addresses_of(found: Found<Addresses, NoAddress>, deadline: Instant) -> Result<Addresses, Fault> {
    let (last, answer) = match found {
        Found::Known(addresses) => return Ok(addresses),
        Found::Coming { last, answer } => (last, answer),
    };
    let now = Instant::now();
    let patience = if last.is_some() { now + deadline.saturating_duration_since(now) / 2 } else { deadline };
    match (timeout_at(patience, answer).await, last) {
        (Ok(Ok(resolved)), _) => Ok(resolved?),
        (Ok(Err(_)) | Err(_), Some(addresses)) => Ok(addresses),
        (Ok(Err(_)) | Err(_), None) => Err(Fault::Silent { step: Step::Resolve, got: 0 }),
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::sync::oneshot;

    use super::*;

    fn addresses(number: u8) -> Addresses {
        Arc::new([SocketAddr::from((Ipv4Addr::new(127, 0, 0, number), 0))])
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_resolver_that_hangs_leaves_time_for_what_it_said_before() {
        runtime().block_on(async {
            let soon = || Instant::now() + Duration::from_millis(40);
            let (_hangs, answer) = oneshot::channel();
            let found = Found::Coming { last: Some(addresses(1)), answer };
            assert_eq!(addresses_of(found, soon()).await, Ok(addresses(1)));

            let (_hangs, answer) = oneshot::channel();
            let silent = addresses_of(Found::Coming { last: None, answer }, soon()).await;
            assert_eq!(silent, Err(Fault::Silent { step: Step::Resolve, got: 0 }));

            let (says, answer) = oneshot::channel();
            says.send(Ok(addresses(2))).unwrap();
            let found = Found::Coming { last: Some(addresses(1)), answer };
            assert_eq!(addresses_of(found, soon()).await, Ok(addresses(2)));
        });
    }
}
