//! The story of the construction guide: Tomcat is killed and comes back; when its script is broken, three tries, and the end.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{CWD, Mode, mknodat};
use watcher::sys::proc_table;
use watcher_tests::{host::tier_is_wanted, wait::until};

use super::{
    kept::{Kept, kill},
    site::Site,
};

/// Where Debian keeps it.
const HOME: &str = "/usr/share/tomcat10";

#[test]
fn tomcat_on_tier_ebpf() {
    if tier_is_wanted("ebpf") {
        story("ebpf");
    }
}

#[test]
fn tomcat_on_tier_poll() {
    if tier_is_wanted("poll") {
        story("poll");
    }
}

fn story(tier: &str) {
    let site = Site::new();
    let script = install(&site);
    let java = &site.at("jre/bin/java");
    let stranger = Stranger::start(java);
    let entry = format!("{java}:{script}:86400:3:exit:include_strings=apache&tomcat");
    // As the guide has it, the cluster starts Tomcat, then pcheck.
    let mut pcheck = Kept::start_after(&script, &site, &entry, &["--tier", tier]);

    let first = pcheck.up();
    until("Tomcat answers", || site.answers());
    let shown = ["pid", "retry_count", "rerun_time"].map(|name| pcheck.shows(name));
    assert_eq!(shown, [&first.to_string(), "0", "--------"]);

    kill(first);
    pcheck.expect(&format!("Process [{java},pid={first}] Down"));
    pcheck.expect(&format!("Try to restart ({java})"));
    let second = pcheck.up();
    assert_ne!(second, first);
    until("Tomcat answers again, on the same port", || site.answers());
    let shown = ["pid", "retry_count", "restart_count", "proc_sts", "monitor_sts"].map(|name| pcheck.shows(name));
    assert_eq!(shown, [&second.to_string(), "1", "1", "AVAIL", "on"]);

    site.script("restart.sh", "#!/bin/sh\nexit 1\n");
    kill(second);
    pcheck.expect("FATAL");
    assert_eq!(pcheck.code(), 4);
    let (up, down) = (|pid| format!("({java} ,pid={pid}) Up"), |pid| format!("Process [{java},pid={pid}] Down"));
    let again = format!("Try to restart ({java})");
    let over = ["RETRY_OVER:EXIT", "FATAL"].map(|end| format!("({java}) {end}"));
    let restarted = [up(first), down(first), again.clone(), up(second)];
    let in_vain = [down(second), again.clone(), down(second), again, down(second)];
    assert_eq!(pcheck.story(), [&restarted[..], &in_vain, &over].concat(), "{}", pcheck.told());
    assert!(stranger.lives(), "the other java was touched");
}

/// Where the Java is that a script would find.
fn jre() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let bin = std::env::split_paths(&path).find(|folder| folder.join("java").exists());
    let bin = bin.expect("`cargo xtask setup` installs a Java runtime");
    bin.parent().expect("it ends in bin").to_owned()
}

/// A Java and a Tomcat with places of their own, as the guide unpacks them: no other one on this host is meant.
pub(super) fn install(site: &Site) -> String {
    assert!(Path::new(HOME).exists(), "`cargo xtask setup` installs Tomcat");
    symlink(HOME, site.path("home")).unwrap();
    symlink(jre(), site.path("jre")).unwrap();
    let (ip, port) = (site.address.ip(), site.address.port());
    let server = format!(
        r#"<Server port="-1"><Service name="Catalina">
        <Connector port="{port}" address="{ip}" protocol="HTTP/1.1"/>
        <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
        </Service></Server>"#
    );
    site.write("base/conf/server.xml", &server);
    let servlets = "<web-app><servlet><servlet-name>default</servlet-name>
        <servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
        <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
        <welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list></web-app>";
    site.write("base/conf/web.xml", servlets);
    site.write("base/webapps/ROOT/index.html", "It works");
    fs::create_dir_all(site.path("base/logs")).unwrap();
    fs::create_dir_all(site.path("base/temp")).unwrap();
    let jre = site.at("jre");
    let base = format!("CATALINA_BASE={}", site.at("base"));
    // A small one that starts quickly.
    let options = "CATALINA_OPTS='-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1'";
    let home = format!("CATALINA_HOME={}\nexport JRE_HOME={jre} {base} {options}", site.at("home"));
    let pid = format!("CATALINA_PID={}", site.at("tomcat.pid"));
    let changes = [("CATALINA_HOME=/usr/local/tomcat", home.as_str()), ("CATALINA_PID=/run/tomcat.pid", pid.as_str())];
    site.adapted("tomcat/tomcat_restart.sh", &changes)
}

/// A java that has nothing to do with it, but for one of the words: it waits for its program, which never comes.
struct Stranger {
    java: std::process::Child,
    _folder: tempfile::TempDir,
}

impl Stranger {
    fn start(java: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program.jar");
        mknodat(CWD, &program, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut command = Command::new(java);
        command.arg("-Dvendor=apache").arg("-jar").arg(&program);
        let null = std::process::Stdio::null;
        let java = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
        Self { java, _folder: folder }
    }

    fn lives(&self) -> bool {
        let pid = watcher_core::Pid::new(self.java.id()).unwrap();
        proc_table::command_line(pid).is_some_and(|words| words.len() == 4)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _killed = self.java.kill();
        let _reaped = self.java.wait();
    }
}
