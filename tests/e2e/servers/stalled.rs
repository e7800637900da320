//! Real servers that hang: all their processes are there, and the kernel takes connections for them, but nobody answers.

use std::process::Command;

use rustix::process::Signal;
use watcher::sys::proc;
use watcher_tests::{
    block::Block,
    host::Tier,
    program::run,
    story::{Story, at_the_same_time},
    wait::until,
};

use super::{
    httpd::{Httpd, children},
    kept::{Kept, signal},
    nginx::Nginx,
    site::Site,
    tomcat,
};

const TIERS: &[Tier] = &[Tier::Ebpf];

#[test]
fn servers_that_hang_are_brought_back() {
    let stories: [Story<'_>; 4] = [
        ("httpd hangs", TIERS, &|_| httpd_hangs()),
        ("nginx with TLS hangs", TIERS, &|_| nginx_with_tls_hangs()),
        ("Tomcat hangs", TIERS, &|_| tomcat_hangs()),
        ("certificates are verified", TIERS, &|_| certificates_are_verified()),
    ];
    at_the_same_time(&stories);
}

/// What a check of this site asks for.
fn web(site: &Site) -> String {
    format!("#@ timeout=2\n{}", Block::web(site.address.port()).to(&[&site.address.ip().to_string()]))
}

fn tls(site: &Site, more: &str) -> String {
    format!("{more}{}", Block::tls(site.address.port()).to(&[&site.address.ip().to_string(), "2", "/index.html"]))
}

fn stall_chk(pcheck: &Kept, value: &str) {
    until(&format!("stall_chk is {value}"), || pcheck.entries()[0]["stall_checks"][0]["status"] == value);
}

/// A server that is watched stops in the middle of its life, with all its workers.
fn hangs_and_is_brought_back(pcheck: &mut Kept, site: &Site, fault: &str) {
    let first = pcheck.up();
    stall_chk(pcheck, "AVAIL");
    let workers = children(first);
    for pid in [first].iter().chain(&workers) {
        signal(*pid, Signal::STOP);
    }
    let port = site.address.port();
    let found = pcheck.expect("Find Web Server Stall");
    assert_eq!(found, format!("Find Web Server Stall: pid = {first} : port = {port}"));
    let why = pcheck.expect(" checks failed within ");
    assert!(why.contains(&format!(",pid={first}] port {port}: the service {fault}; 2 checks")), "{why}");
    pcheck.expect(&format!("Killed Process: pid= {first}"));
    pcheck.expect("Try to restart");
    let second = pcheck.up();
    assert_ne!(second, first);
    stall_chk(pcheck, "AVAIL");
    // Whoever has ended is there until it is reaped.
    until("none of the old workers is left", || workers.iter().all(|pid| !proc::exists(*pid)));
    assert_eq!([pcheck.shows("pid"), pcheck.shows("restart_count")], [second.to_string(), "1".into()]);
    assert!(!pcheck.told().contains("Can not killed"), "{}", pcheck.told());
}

fn httpd_hangs() {
    let httpd = Httpd::install();
    let mut pcheck = httpd.watched_with(&httpd.script(), &web(&httpd.site));
    hangs_and_is_brought_back(&mut pcheck, &httpd.site, "does not answer in time");
    assert!(httpd.site.answers());
}

fn tomcat_hangs() {
    let site = Site::new();
    let script = tomcat::install(&site);
    let java = site.at("jre/bin/java");
    let entry = format!("{java}:{script}:86400:3:exit:include_strings=apache&tomcat\n{}", web(&site));
    let mut pcheck = Kept::start_after(&script, &site, &entry, &["--tier", "poll"]);
    hangs_and_is_brought_back(&mut pcheck, &site, "does not answer in time");
    assert!(site.answers());
}

/// An nginx whose certificate it has signed itself, as its operator makes one.
fn nginx_with_tls() -> Nginx {
    let site = Site::new();
    let name = site.address.ip().to_string();
    signs_itself(&site, &name, "cert.pem", "key.pem");
    Nginx::install_with_tls(site)
}

fn signs_itself(site: &Site, address: &str, certificate: &str, key: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]);
    openssl.args(["-subj", "/CN=localhost", "-addext", &format!("subjectAltName=IP:{address}")]);
    let made = run(openssl.args(["-keyout", &site.at(key), "-out", &site.at(certificate)]));
    assert_eq!(made.code, Some(0), "`cargo xtask setup` installs openssl: {made:?}");
}

fn nginx_with_tls_hangs() {
    let nginx = nginx_with_tls();
    let mut pcheck = nginx.watched_with(&tls(&nginx.site, ""));
    hangs_and_is_brought_back(&mut pcheck, &nginx.site, "does not complete the TLS handshake in time");
}

/// One whose authority is known, and one whose is not: to the latter the same happens as to one that does not answer.
fn certificates_are_verified() {
    let [trusted, stranger] = [nginx_with_tls(), nginx_with_tls()];
    let ca = |site: &Site, name: &str| tls(site, &format!("#@ verify=on ca={}\n", site.at(name)));
    let mut good = trusted.watched_with(&ca(&trusted.site, "cert.pem"));
    let first = good.up();
    stall_chk(&good, "AVAIL");
    signs_itself(&stranger.site, "127.0.0.1", "other.pem", "other.key");
    let mut bad = stranger.watched_with(&ca(&stranger.site, "other.pem"));
    let pid = bad.up();
    until("it was asked", || bad.entries()[0]["stall_checks"][0]["failures"] == 1);
    let why = bad.entries()[0]["stall_checks"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("certificate"), "{why}");
    let port = stranger.site.address.port();
    let line = bad.expect(" checks failed within ");
    assert!(line.contains(&format!(",pid={pid}] port {port}: the service {why}; 2 checks failed")), "{line}");
    // The other one was asked as often meanwhile.
    assert_eq!(good.entries()[0]["stall_checks"][0]["failures"], 0);
    assert_eq!(good.shows("pid"), first.to_string());
    assert_eq!(good.story().len(), 1, "{}", good.told());
}
