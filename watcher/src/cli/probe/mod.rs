//! `watcher probe`: asks a service once, as a pfile would have it asked.

mod report;
mod target;

use std::{io, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use watcher_core::{
    ProbeId, Span,
    pfile::{Extension, StallCheck, StallKind, StallTiming},
    probe::{self, Ask, How, HttpVersion, Verdict},
};

use self::{
    report::Report,
    target::{Scheme, Target},
};
use super::{exit, output};
use crate::executor::probe::{Attempt, Prober};

/// Ask a service once, and show what it answers, how long that took, and how to have it asked by a pfile
///
/// The options mean what the extensions of pfiles mean (docs/pfile.md); as there, any status counts as an answer unless
/// --status says otherwise, and a certificate is looked at but not checked unless --verify is given.
/// Exit code 0: the service answers as it should. 1: it does not. 2: the command line is wrong.
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// `http://HOST[:PORT]/PATH`, `https://HOST[:PORT]/PATH`, `smtp://HOST[:PORT]`, or HOST:PORT for a mere TCP connection;
    /// an IPv6 address stands in brackets
    #[arg(value_name = "TARGET")]
    target: String,
    /// HEAD or GET; HEAD by default, and GET where --match is given
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The only status codes that count as an answer, such as 200-399,401
    #[arg(long, value_name = "CODES")]
    status: Option<String>,
    /// What the first 64 KiB of the answer's body must contain
    #[arg(long = "match", value_name = "TEXT")]
    match_body: Option<String>,
    /// What the headers of the answer must contain
    #[arg(long, value_name = "TEXT")]
    match_header: Option<String>,
    /// A header of the request, as "Name: value"; may be repeated
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The version of HTTP that is spoken: 1.0 or 1.1
    #[arg(long, value_name = "VERSION", value_parser = http_version, default_value = "1.1")]
    http: HttpVersion,
    /// Check the server's certificate
    #[arg(long)]
    verify: bool,
    /// Check it against the certificates in this file (PEM), instead of those of the system
    #[arg(long, value_name = "FILE", requires = "verify")]
    ca: Option<PathBuf>,
    /// Time limit for all of it: name, connection, TLS and answer
    #[arg(long, value_name = "SECONDS", default_value = LIMIT)]
    timeout: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What a check takes where nothing is said.
const LIMIT: &str = "10";

fn http_version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1.0" => Ok(HttpVersion::V1_0),
        "1.1" => Ok(HttpVersion::V1_1),
        _ => Err("1.0 or 1.1 is wanted".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Probe) -> ExitCode {
    let question = match question(arguments) {
        Ok(question) => question,
        Err(sentence) => return exit::usage(&sentence),
    };
    let attempt = match attempt(&question.ask) {
        Ok(attempt) => attempt,
        Err(error) => return exit::trouble(&format!("nothing can be asked: {error}")),
    };
    let is_good = matches!(attempt.verdict, Verdict::Good { .. });
    let report = Report::of(&arguments.target, &attempt, &question.ask, question.in_pfile);
    match if arguments.json { output::json(&report) } else { output::line(&report.text()) } {
        Ok(()) => ExitCode::from(if is_good { exit::DONE } else { exit::TROUBLE }),
        // Whoever read the lines has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(if is_good { exit::DONE } else { exit::TROUBLE })
        }
        Err(error) => exit::trouble(&error.to_string()),
    }
}

struct Question {
    ask: Ask,
    /// What asks it in a pfile.
    in_pfile: Option<String>,
}

/// What was typed, as a question; or a sentence that says what is wrong.
fn question(arguments: &Probe) -> Result<Question, String> {
    let Target { scheme, mut target } = target::read(&arguments.target)?;
    let mut extensions = extensions(arguments, scheme)?;
    // Not every block has a place for it.
    extensions.extend(target.path.take().map(Extension::Path));
    let kind = match scheme {
        Scheme::Http => StallKind::Web,
        Scheme::Https => StallKind::WebTls,
        Scheme::Smtp | Scheme::Tcp => StallKind::Socket,
    };
    let check = StallCheck::new(kind, StallTiming::default(), target);
    let mut ask = Ask::of_check(&check, &extensions);
    let mut in_pfile = in_pfile(kind, &check, &extensions);
    match &mut ask.how {
        How::Http(http) if arguments.http != http.version => {
            http.version = arguments.http;
            in_pfile = None;
        }
        How::Tcp if scheme == Scheme::Smtp => {
            ask.how = How::Smtp;
            in_pfile = None;
        }
        How::Http(_) | How::Smtp | How::Tcp => {}
    }
    Ok(Question { ask, in_pfile })
}

fn in_pfile(kind: StallKind, check: &StallCheck, extensions: &[Extension]) -> Option<String> {
    let mut target = check.target().clone();
    // Without a host a block asks 127.0.0.1 first. Whoever means ::1, or 127.0.0.2, means neither that nor what comes after.
    if target.host.as_ref().is_some_and(|host| host.value.as_slice() == b"127.0.0.1") {
        target.host = None;
    }
    if target.host.is_some() {
        return probe::in_pfile(check, extensions).map(|text| text.to_string());
    }
    let local = StallCheck::new(kind, check.timing(), target);
    let text = probe::in_pfile(check, extensions).or_else(|| probe::in_pfile(&local, extensions));
    text.map(|text| text.to_string())
}

/// The options, as extensions of a pfile.
fn extensions(arguments: &Probe, scheme: Scheme) -> Result<Vec<Extension>, String> {
    let Probe { target: _, method, status, match_body, match_header, headers, http: _, verify, ca, timeout, json: _ } =
        arguments;
    let ca = ca.as_ref().map(std::path::absolute).transpose().map_err(|error| format!("--ca: {error}"))?;
    let ca = ca.as_ref().map(|path| path.as_os_str().as_encoded_bytes());
    let is_web = matches!(scheme, Scheme::Http | Scheme::Https);
    let bytes = |text: &'_ Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
    let mut given = vec![
        ("method", bytes(method), is_web),
        ("status", bytes(status), is_web),
        ("match", bytes(match_body), is_web),
        ("match_header", bytes(match_header), is_web),
        ("verify", verify.then(|| b"on".to_vec()), scheme == Scheme::Https),
        ("ca", ca.map(<[u8]>::to_vec), scheme == Scheme::Https),
        ("timeout", Some(timeout.clone().into_bytes()).filter(|_| timeout != LIMIT), true),
    ];
    given.extend(headers.iter().map(|header| ("header", Some(header.clone().into_bytes()), is_web)));
    if match_body.is_some() && method.as_deref() == Some("HEAD") {
        return Err("--match wants the body of the answer, which HEAD does not bring: leave --method away".to_owned());
    }
    let mut extensions = Vec::new();
    for (key, value, fits) in given {
        let Some(value) = value else { continue };
        let option = key.replace('_', "-");
        if !fits {
            let scheme = if matches!(key, "verify" | "ca") { "https://" } else { "http:// and https://" };
            return Err(format!("--{option} is for {scheme} only"));
        }
        let read = Extension::of(key, &value).map_err(|problem| format!("--{option}: {problem}"))?;
        extensions.extend(read);
    }
    // Where the body is wanted, all of it has to be asked for; in the block that is said, too.
    if match_body.is_some() && method.is_none() {
        extensions.extend(Extension::of("method", b"GET")?);
    }
    Ok(extensions)
}

/// Asks.
fn attempt(ask: &Ask) -> io::Result<Attempt> {
    const ONLY: ProbeId = ProbeId(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attempt = runtime.block_on(async {
        let (mut prober, mut done) = (Prober::new(), Vec::new());
        prober.start(ONLY, Arc::new(ask.clone()));
        prober.ready(&mut done).await;
        done.pop()
    });
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
    let Span(limit) = ask.limit;
    attempt.map_or_else(|| Err(io::Error::other(format!("no verdict within {limit} ns"))), |(_, attempt)| Ok(attempt))
}
