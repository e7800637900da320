//! What Prometheus makes of the figures: its own checker of them, its rules, and a server that scrapes them.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use watcher_tests::{
    host::{Host, Tier},
    pcheck::{Pcheck, die_with_the_test},
    program::run,
    server::free_port,
    wait::until,
};

use super::page;

/// What operators copy.
fn rules() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/monitoring/alerts.yml").display().to_string()
}

#[test]
fn its_checkers_have_nothing_to_say() {
    let host = Host::new();
    let (pcheck, _service, socket) = super::start(&host, Tier::best());
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page(&socket).as_bytes()).unwrap();
    let ended = promtool.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    pcheck.stop();

    let checked = run(Command::new("promtool").args(["check", "rules", &rules()]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

fn get(place: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(place).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// The value of a query that has one.
fn asked(place: &str, query: &str) -> Option<f64> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer: Value = serde_json::from_str(&get(place, &format!("/api/v1/query?query={encoded}"))?).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

#[test]
fn a_server_scrapes_it_and_an_alert_fires() {
    let host = Host::new();
    let (figures, place) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    host.rules(&format!("{}:{}:86400:1:continue", host.svc(), host.script("start.sh", "exit 7")));
    let service = host.start("");
    let mut pcheck = Pcheck::started(host.pcheck(Tier::best()).args(["--metrics", &figures]));
    pcheck.up(&host.svc());
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
         rule_files: ['{}']\nscrape_configs: [{{job_name: watcher, static_configs: [{{targets: ['{figures}']}}]}}]\n",
        rules()
    );
    let config = host.write("prometheus.yml", &config);
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    let mut command = Command::new("prometheus");
    command.args(["--config.file", &config, "--storage.tsdb.path", &data, "--web.listen-address", &place]);
    die_with_the_test(&mut command);
    let log = fs::File::create(host.path("prometheus.log")).unwrap();
    let _prometheus = Prometheus(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    until("it was scraped", || asked(&place, "watcher_entry_up") == Some(1.0));
    assert_eq!(asked(&place, "up{job=\"watcher\"}"), Some(1.0));

    service.kill();
    pcheck.until("RETRY_OVER:CONTINUE");
    until("it shows", || {
        asked(&place, "watcher_entry_trouble{trouble=\"gave_up\",severity=\"critical\"}") == Some(1.0)
    });
    assert_eq!(asked(&place, "sum(watcher_deaths_total)"), Some(1.0));
    let fires = "ALERTS{alertname=\"WatcherEntryGaveUp\",alertstate=\"firing\"}";
    until("the alert fires", || asked(&place, fires) == Some(1.0));
    pcheck.stop();
    until("it is seen that nobody answers", || asked(&place, "up{job=\"watcher\"}") == Some(0.0));
}

/// It is killed when dropped.
struct Prometheus(std::process::Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
