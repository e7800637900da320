//! `cargo xtask bench probe`: what it costs to ask many endpoints by HTTP and HTTPS, beside monit and blackbox_exporter, one
//! after the other in one run. Ratios count, not absolute times: virtual machines are noisy.

mod blackbox;
mod endpoints;
mod kept;
mod monit;
mod pcheck;
mod run;
mod server;
mod versions;

use std::{env, path::PathBuf};

use self::{
    endpoints::{Endpoints, Scheme, Spread},
    run::Plan,
};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Pcheck,
    Monit,
    Blackbox,
}

impl Tool {
    const ALL: [Self; 3] = [Self::Pcheck, Self::Monit, Self::Blackbox];

    const fn name(self) -> &'static str {
        match self {
            Self::Pcheck => "pcheck",
            Self::Monit => "monit",
            Self::Blackbox => "blackbox_exporter",
        }
    }
}

/// How it was called.
struct Arguments {
    quick: bool,
    /// Nothing but 1,000 endpoints by HTTP.
    brief: bool,
    /// Where the programs of the peers are; without it they are not measured.
    peers: Option<PathBuf>,
    /// Nobody but this tool is measured.
    only: Option<String>,
}

fn main() {
    let mut arguments = Arguments { quick: false, brief: false, peers: None, only: None };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.quick = true,
            "--brief" => arguments.brief = true,
            "--peers" => arguments.peers = words.next().map(PathBuf::from),
            "--only" => arguments.only = words.next(),
            other => panic!("{other} is not known; --quick, --brief, --peers FOLDER and --only TOOL are"),
        }
    }
    versions::tell(arguments.peers.as_deref());
    for plan in plans(&arguments) {
        table(&plan, &arguments);
    }
    println!(
        "CPU: user and system time of the tool and its children; in brackets the system's share. At 60 s: what it is of one\n\
         core if each endpoint is asked every 60 s (goal for pcheck: 1,000 by HTTP at most 1 %). Wake-ups: voluntary context\n\
         switches. Arrived: what the server saw in this time, of what should have come. Apart: the median of the seconds\n\
         between two questions to the same endpoint. Others: CPU of neither the tool, nor the server, nor the bench."
    );
}

fn plans(arguments: &Arguments) -> Vec<Plan> {
    let plan = |scheme, count, spread, interval, intervals, warm_up| Plan {
        endpoints: Endpoints { scheme, count, spread },
        interval,
        intervals,
        warm_up,
    };
    let of_ports = |count, interval, intervals, warm_up| {
        [Scheme::Http, Scheme::Https].map(|scheme| plan(scheme, count, Spread::Ports, interval, intervals, warm_up))
    };
    if arguments.quick {
        return of_ports(100, 10, 1, 0).into();
    }
    if arguments.brief {
        return vec![plan(Scheme::Http, 1_000, Spread::Ports, 10, 3, 11)];
    }
    let mut plans = Vec::from(of_ports(1_000, 10, 3, 11));
    // Each on a host of its own: sessions of TLS are kept by host.
    plans.push(plan(Scheme::Https, 1_000, Spread::Addresses, 10, 3, 11));
    plans.extend(of_ports(10_000, 60, 1, 0));
    plans
}

fn table(plan: &Plan, arguments: &Arguments) {
    let Plan { endpoints, interval, .. } = plan;
    println!("## {endpoints}, each asked every {interval} s\n");
    println!(
        "| | CPU a probe, µs | at 60 s, % of one core | wake-ups a probe | RSS, MiB | PSS, MiB | peak, MiB | arrived | apart, s | not good | TLS | resumed | others, % |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |");
    for tool in Tool::ALL {
        if arguments.only.as_deref().is_some_and(|only| only != tool.name()) {
            continue;
        }
        match (tool, &arguments.peers) {
            (Tool::Pcheck, _) => run::pcheck(plan),
            (Tool::Monit, Some(peers)) => run::monit(plan, peers),
            (Tool::Blackbox, Some(peers)) => run::blackbox(plan, peers),
            (Tool::Monit | Tool::Blackbox, None) => println!("| {} | not measured: not there |", tool.name()),
        }
    }
    println!();
}
