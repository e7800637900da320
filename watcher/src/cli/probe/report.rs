//! What came of it, as text or JSON.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;
use watcher_core::probe::{Ask, Fault, How, HttpAsk, Statuses, Step, Verdict};

use crate::{
    cli::output::harmless,
    executor::probe::{Agreed, Attempt, Certificate, Timings},
};

/// As `docs/json.md` has it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    target: String,
    good: bool,
    fault: Option<&'static str>,
    of_service: Option<bool>,
    verdict: String,
    address: Option<String>,
    answer: Option<String>,
    timings: InMillis,
    tls: Option<OfTls>,
    certificate: Option<OfCertificate>,
    pfile: Option<String>,
    /// What people are told besides.
    #[serde(skip)]
    remark: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct InMillis {
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OfTls {
    version: &'static str,
    cipher: String,
}

#[derive(Debug, Serialize)]
struct OfCertificate {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
    valid_from: String,
    valid_until: String,
    days_left: i64,
    self_signed: bool,
}

impl Report {
    pub(super) fn of(target: &str, attempt: &Attempt, ask: &Ask, pfile: Option<String>) -> Self {
        let remark = remark(attempt, ask);
        let Attempt { verdict, timings, address, answer, tls, certificate } = attempt;
        let (fault, verdict) = match verdict {
            Verdict::Good { .. } => (None, "the service answers as it should".to_owned()),
            Verdict::Bad(fault) => (Some(fault), format!("the service {fault}")),
        };
        let Timings { resolve, connect, tls: shaking, first_byte, total } = timings;
        let millis = |time: &Option<Duration>| time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
        Self {
            schema: 1,
            target: target.to_owned(),
            good: fault.is_none(),
            fault: fault.map(|fault| fault.name()),
            of_service: fault.map(|fault| fault.may_be_of_service()),
            verdict,
            address: address.map(|address| address.to_string()),
            answer: answer.clone(),
            timings: InMillis {
                resolve_ms: millis(resolve),
                connect_ms: millis(connect),
                tls_ms: millis(shaking),
                first_byte_ms: millis(first_byte),
                total_ms: millis(total),
            },
            tls: tls.as_ref().map(|Agreed { version, cipher, resumed: _ }| OfTls { version, cipher: cipher.clone() }),
            certificate: certificate.as_ref().map(OfCertificate::of),
            pfile,
            remark,
        }
    }

    /// For people: a line for each step, what was said, the verdict, and how to have it asked again.
    pub(super) fn text(&self) -> String {
        let Self { timings, tls, certificate, .. } = self;
        let mut rows = Vec::new();
        let mut step = |name, time: Option<f64>, what: Option<String>| {
            if let Some(time) = time {
                let what = what.map_or_else(String::new, |what| format!("  {what}"));
                rows.push((name, format!("{time:9.3} ms{what}")));
            }
        };
        step("resolve", timings.resolve_ms, None);
        step("connect", timings.connect_ms, self.address.clone());
        let agreed = tls.as_ref().map(|OfTls { version, cipher }| format!("{version}, {cipher}"));
        step("TLS", timings.tls_ms, agreed);
        step("first byte", timings.first_byte_ms, None);
        step("total", timings.total_ms, None);
        rows.extend(self.answer.clone().map(|answer| ("answer", answer)));
        if let Some(certificate) = certificate {
            rows.extend(certificate.rows());
        }
        rows.push(("verdict", format!("{}: {}", if self.good { "good" } else { "bad" }, self.verdict)));
        rows.extend(self.remark.map(|remark| ("", remark.to_owned())));
        if self.of_service == Some(false) {
            rows.push(("", "(this is on our side, or between: it tells nothing of the service itself)".to_owned()));
        }
        let mut text = String::new();
        for (name, value) in rows {
            // Writing to a string cannot fail.
            let _written = writeln!(text, "{name:<12} {}", harmless(&value));
        }
        match &self.pfile {
            Some(block) => {
                let _written = write!(text, "\n# below an entry of a pfile, this asks the same:\n{}", block.trim_end());
            }
            None => text += "\n# no block of a pfile asks this",
        }
        text
    }
}

/// What a verdict does not say, and whoever reads it may take amiss.
fn remark(attempt: &Attempt, ask: &Ask) -> Option<&'static str> {
    match &attempt.verdict {
        Verdict::Good { .. } => {
            let any = matches!(&ask.how, How::Http(HttpAsk { statuses: Statuses::Any, .. }));
            let code =
                attempt.answer.as_ref().and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u16>().ok());
            let is_error = code.is_some_and(|code| !Statuses::NoErrors.accept(code));
            (any && is_error).then_some("(any status counts; see --status)")
        }
        Verdict::Bad(Fault::Connect { .. } | Fault::Silent { step: Step::Connect, .. }) => {
            ask.host.is_none().then_some("(127.0.0.1 and ::1 were tried)")
        }
        Verdict::Bad(_) => None,
    }
}

impl OfCertificate {
    fn of(certificate: &Certificate) -> Self {
        let Certificate { subject, issuer, names, not_before, not_after, days_left, self_signed } = certificate;
        Self {
            subject: subject.clone(),
            issuer: issuer.clone(),
            names: names.clone(),
            not_before: *not_before,
            not_after: *not_after,
            valid_from: certificate.valid_from(),
            valid_until: certificate.valid_until(),
            days_left: *days_left,
            self_signed: *self_signed,
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { subject, issuer, names, valid_from, valid_until, days_left, self_signed, .. } = self;
        let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
        let left = match days_left {
            0.. => format!("{days_left} days left"),
            _ => "it has expired".to_owned(),
        };
        vec![
            ("certificate", subject.clone()),
            ("  for", names),
            ("  issued by", if *self_signed { "itself".to_owned() } else { issuer.clone() }),
            ("  valid", format!("{valid_from} to {valid_until}: {left}")),
        ]
    }
}
