//! Real services, asked by `watcher probe` as they run, as they hang, and when they are gone.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Child, ChildStdin, Command, Stdio},
};

use rcgen::generate_simple_self_signed;
use rustix::process::Signal;
use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    program::{Ended, built, run, watcher},
    wait::until,
};

use super::{
    httpd::{self, children},
    kept::signal,
    site::Site,
    tomcat,
};

/// A service without a pcheck: all of it ends with the test.
struct Service {
    keeper: Child,
    /// Its end is the end of everything.
    leash: Option<ChildStdin>,
}

impl Service {
    fn start(words: &[&str], site: &Site) -> Self {
        let mut command = Command::new(built("keeps"));
        let named = |name: &str| ["JAVA", "JRE", "CATALINA", "APACHE"].iter().any(|word| name.starts_with(word));
        for (name, _) in std::env::vars().filter(|(name, _)| named(name)) {
            command.env_remove(name);
        }
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let leash = keeper.stdin.take();
        let mut word = String::new();
        // What it says later nobody has to read: it is little.
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut word).unwrap();
        until("the service takes connections", || TcpStream::connect(site.address).is_ok());
        Self { keeper, leash }
    }

    /// Everything that it has started, however far down.
    fn processes(&self) -> BTreeSet<Pid> {
        let (mut found, mut left) = (BTreeSet::new(), vec![Pid::new(self.keeper.id()).unwrap()]);
        while let Some(parent) = left.pop() {
            for child in children(parent) {
                left.extend(Some(child).filter(|child| found.insert(*child)));
            }
        }
        found
    }

    /// Stops all of it, also what is started meanwhile.
    fn hang(&self) {
        let mut stopped = BTreeSet::new();
        loop {
            let all = self.processes();
            if all.is_subset(&stopped) {
                return;
            }
            all.difference(&stopped).for_each(|pid| signal(*pid, Signal::STOP));
            stopped.extend(all);
        }
    }

    fn go_on(&self) {
        self.processes().into_iter().for_each(|pid| signal(pid, Signal::CONT));
    }

    fn end(mut self) {
        drop(self.leash.take());
        self.keeper.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _reaped = self.keeper.wait();
    }
}

fn probe(target: &str, options: &[&str]) -> Ended {
    run(&mut watcher(["probe", target].iter().chain(options)))
}

fn json(target: &str, options: &[&str]) -> Value {
    let ended = probe(target, &[&["--json"], options].concat());
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// It answers; it hangs, and is silent while the kernel takes connections for it; it answers again; it is gone.
fn story(service: Service, target: &str, options: &[&str], step: &str) {
    let good = json(target, options);
    assert_eq!((&good["good"], &good["fault"]), (&true.into(), &Value::Null), "{good}");
    assert!(good["answer"].as_str().unwrap().contains("20"), "{good}");

    service.hang();
    let hangs = json(target, &[options, &["--timeout", "1"]].concat());
    assert_eq!([&hangs["fault"], &hangs["of_service"]], [&Value::from("silent"), &true.into()], "{hangs}");
    assert_eq!(hangs["verdict"], format!("the service {step} in time"));
    let port = target.rsplit("://").next().unwrap().split('/').next().unwrap();
    assert_eq!(json(port, &[])["good"], true, "a connection alone proves little");

    service.go_on();
    until("it answers again", || probe(target, options).code == Some(0));
    service.end();
    let gone = json(target, options);
    assert_eq!(gone["verdict"], "the service lets no connection be made: connection refused");
}

const SILENT: &str = "does not answer";
const SILENT_IN_TLS: &str = "does not complete the TLS handshake";

/// An nginx with its page in the clear, or over TLS with a certificate for its address.
fn nginx(site: &Site, tls: bool) -> Service {
    symlink("/usr/sbin/nginx", site.path("nginx")).unwrap();
    let (folder, address) = (site.at(""), site.address);
    site.write("www/index.html", "It works");
    let key = generate_simple_self_signed(vec![address.ip().to_string()]).unwrap();
    site.write("own.pem", &key.cert.pem());
    site.write("key.pem", &key.signing_key.serialize_pem());
    let (ssl, certificate) = match tls {
        true => (" ssl", format!("ssl_certificate {folder}own.pem; ssl_certificate_key {folder}key.pem;")),
        false => ("", String::new()),
    };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}{name};")).concat();
    let configuration = format!(
        "daemon off; worker_processes 1; pid {folder}nginx.pid; error_log {folder}error.log; events {{}}\n\
         http {{ access_log {folder}access.log; {temporary} server {{ listen {address}{ssl}; {certificate} \
         root {folder}www; }} }}\n"
    );
    site.write("nginx.conf", &configuration);
    Service::start(&[&site.at("nginx"), "-p", &folder, "-c", "nginx.conf", "-e", "error.log"], site)
}

#[test]
fn nginx_is_asked_in_the_clear() {
    let site = Site::new();
    let service = nginx(&site, false);
    let url = format!("http://{}/", site.address);
    let missing = probe(&format!("{url}missing"), &["--status", "200-399"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stdout.contains("answers with an error: HTTP/1.1 404 Not Found"), "{}", missing.stdout);
    assert_eq!(probe(&url, &["--match", "It works", "--status", "200", "--match-header", "nginx"]).code, Some(0));
    // Asked over TLS it answers in the clear.
    assert!(probe(&format!("https://{}/", site.address), &[]).stdout.contains("this is not TLS"));
    story(service, &url, &["--status", "200"], SILENT);
    let log = fs::read_to_string(site.path("error.log")).unwrap_or_default();
    // Of the page that is missing, and of nothing else.
    assert_eq!(log.matches("[error]").count(), 1, "it has something to complain about: {log}");
}

#[test]
fn nginx_is_asked_over_tls() {
    let site = Site::new();
    let service = nginx(&site, true);
    let url = format!("https://{}/", site.address);
    let own = site.at("own.pem");
    let shown = json(&url, &["--verify", "--ca", &own]);
    assert_eq!(shown["good"], true, "{shown}");
    assert_eq!(shown["certificate"]["names"], Value::from(vec![site.address.ip().to_string()]));
    // Which one, its version decides.
    assert!(["TLS 1.2", "TLS 1.3"].contains(&shown["tls"]["version"].as_str().unwrap()), "{shown}");
    assert_eq!(shown["certificate"]["self_signed"], true);
    assert_eq!(json(&url, &["--verify"])["fault"], "tls");
    // It says so in the clear, and in HTTP: whoever answers is no stall, but 400 may be one.
    let clear = format!("http://{}/", site.address);
    assert_eq!([probe(&clear, &[]).code, probe(&clear, &["--status", "200"]).code], [Some(0), Some(1)]);
    story(service, &url, &[], SILENT_IN_TLS);
}

#[test]
fn httpd_is_asked() {
    let site = Site::new();
    let (program, configuration) = httpd::configure(&site);
    let service = Service::start(&[&program, "-f", &configuration, "-DFOREGROUND"], &site);
    let url = format!("http://{}/", site.address);
    until("its workers are there", || probe(&url, &["--status", "200"]).code == Some(0));
    story(service, &url, &["--match", "It works"], SILENT);
}

#[test]
fn tomcat_is_asked() {
    let site = Site::new();
    let script = tomcat::install(&site);
    let service = Service::start(&["/bin/sh", &script], &site);
    let url = format!("http://{}/index.html", site.address);
    until("its application is there", || probe(&url, &["--status", "200"]).code == Some(0));
    story(service, &url, &["--http", "1.0", "--match", "It works"], SILENT);
}

/// A postfix that takes no mail: its master, and what answers for it.
#[test]
fn postfix_is_asked() {
    const PROGRAMS: &str = "/usr/lib/postfix/sbin";
    let site = Site::new();
    let folder = site.at("");
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}queue\ndata_directory = {folder}data\n\
         daemon_directory = {PROGRAMS}\ncommand_directory = /usr/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\nmyhostname = localhost\nmydestination =\ninet_protocols = ipv4\n\
         mynetworks = 127.0.0.0/8\nlocal_recipient_maps =\nalias_maps =\nalias_database =\n\
         smtpd_recipient_restrictions = reject\nsmtpd_relay_restrictions = reject\n"
    );
    site.write("etc/main.cf", &main);
    let services = "anvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\n\
                    proxymap unix - - n - - proxymap\n";
    site.write("etc/master.cf", &format!("{} inet n - n - - smtpd\n{services}", site.address));
    for name in ["queue", "data"] {
        fs::create_dir(site.path(name)).unwrap();
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let owned = run(Command::new("chown").args(["postfix", &site.at("data")]));
    assert_eq!(owned.code, Some(0), "`cargo xtask setup` installs postfix: {owned:?}");
    // It makes the folders of the queue.
    let etc = site.at("etc");
    let checked = run(Command::new("postfix").args(["-c", &etc, "check"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let service = Service::start(&[&format!("{PROGRAMS}/master"), "-c", &etc, "-s"], &site);
    let url = format!("smtp://{}", site.address);
    assert_eq!(json(&url, &[])["answer"], "220 localhost ESMTP Postfix");
    // Whoever takes it for something else is told.
    assert!(probe(&format!("http://{}/", site.address), &[]).stdout.contains("it begins with `220 localhost ESMTP"));
    story(service, &url, &[], SILENT);
}
