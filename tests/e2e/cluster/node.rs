//! A node: namespaces of its own for mounts, network, pids, names and IPC, with what Pacemaker and Corosync write on file systems that
//! go with it.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use watcher::sys::pidfd;
use watcher_core::Pid;
use watcher_tests::{
    pcheck::die_with_the_test,
    program::{built, run},
    wait::{DEADLINE, until},
};

use super::{
    net::{Net, child_of},
    service::Service,
};

/// The first process of a node. It takes leave of whatever is left in the background.
const INIT: &str = r#"set -e
hostname "node$NUMBER"
mount --make-rprivate /
mkdir -p /etc/corosync /var/lib/corosync /var/lib/pacemaker
mount --bind /usr/lib/ocf/resource.d "$SHARED/agents"
for folder in /run /dev/shm /etc/corosync /var/lib/corosync /var/lib/pacemaker /var/log /usr/lib/ocf/resource.d; do
    mount -t tmpfs tmpfs $folder
done
for provider in "$SHARED"/agents/*; do
    ln -s "$provider" /usr/lib/ocf/resource.d/
done
rm -f /usr/lib/ocf/resource.d/watcher
mkdir /usr/lib/ocf/resource.d/watcher
cp "$AGENT" /usr/lib/ocf/resource.d/watcher/pcheck
mkdir -p /run/resource-agents /run/lock /var/log/corosync /run/site/www
chmod 755 /run/site
chown hacluster:haclient /var/lib/pacemaker
for folder in /run/crm /var/log/pacemaker /var/lib/pacemaker/blackbox /var/lib/pacemaker/cib /var/lib/pacemaker/cores /var/lib/pacemaker/pengine; do
    install -d -o hacluster -g haclient -m 750 $folder
done
cp "$WATCHER" /run/site/watcher
cp -r "$SHARED/site/." /run/site/
eval "$INSTALLS"
echo "node $NUMBER" >/run/site/www/index.html
cp "$SHARED/corosync.conf" /etc/corosync/
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip address add "10.77.0.$NUMBER/24" dev eth0
ip link set eth0 up
set +e
corosync -f >"$SHARED/corosync$NUMBER.log" 2>&1 &
until corosync-cmapctl -g totem.cluster_name >/dev/null 2>&1; do sleep 0.05; done
PCMK_logfile=$SHARED/pacemaker$NUMBER.log pacemakerd -f >"$SHARED/pacemakerd$NUMBER.log" 2>&1 &
: >"$SHARED/ready$NUMBER"
while :; do
    wait
    sleep 1
done
"#;

const COROSYNC: &str = "totem {
    version: 2
    cluster_name: watcher
    transport: udpu
}
nodelist {
    node {
        ring0_addr: 10.77.0.1
        name: node1
        nodeid: 1
    }
    node {
        ring0_addr: 10.77.0.2
        name: node2
        nodeid: 2
    }
}
quorum {
    provider: corosync_votequorum
    two_node: 1
    wait_for_all: 0
}
logging {
    to_stderr: yes
    to_syslog: no
}
";

/// It ends with this value, and all that runs on it.
pub(super) struct Node {
    namespaces: Child,
    init: u32,
    shared: PathBuf,
}

impl Node {
    pub(super) fn start(net: &Net, service: &Service, number: u8) -> Self {
        let shared = net.folder.path().to_owned();
        fs::create_dir_all(shared.join("agents")).unwrap();
        let pfile = service.pfile();
        let of_service = service.files.iter().copied().chain([("site.pfile", pfile.as_str())]);
        let of_service = of_service.map(|(name, text)| (format!("site/{name}"), text));
        let of_node = [("corosync.conf".to_owned(), COROSYNC), ("init.sh".to_owned(), INIT)];
        for (name, text) in of_service.chain(of_node) {
            fs::create_dir_all(shared.join(&name).parent().unwrap()).unwrap();
            fs::write(shared.join(name), text).unwrap();
        }
        let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/ocf/pcheck");
        let log = File::create(shared.join(format!("init{number}.log"))).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg("sh").arg(shared.join("init.sh")).env("NUMBER", number.to_string()).env("SHARED", &shared);
        command.env("INSTALLS", service.installs);
        command.env("AGENT", agent).env("WATCHER", built("watcher")).env_remove("WATCHER_LOG");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        die_with_the_test(&mut command);
        let namespaces = command.spawn().unwrap();
        let init = child_of(namespaces.id());
        net.connect(number, init);
        let node = Self { namespaces, init, shared };
        until("the node is up", || node.shared.join(format!("ready{number}")).exists());
        node.script("restart.sh", &service.restart_script());
        node
    }

    /// Runs a command; what it printed.
    pub(super) fn run(&self, command: &str) -> String {
        self.enter(command).stdout
    }

    /// Runs a command that must succeed.
    pub(super) fn does(&self, command: &str) {
        let ended = self.enter(command);
        assert_eq!(ended.code, Some(0), "{command}: {}{}", ended.stdout, ended.stderr);
    }

    fn enter(&self, command: &str) -> watcher_tests::program::Ended {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &self.init.to_string(), "-m", "-n", "-u", "-i", "-p", "sh", "-c", command]);
        run(&mut nsenter)
    }

    /// Where a file of this node is for the test.
    fn path(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.init.to_string()).join("root/run").join(name)
    }

    /// Writes a file; its path on the node.
    pub(super) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        format!("/run/{name}")
    }

    /// Writes a script of the site, also over one that runs.
    pub(super) fn script(&self, name: &str, text: &str) {
        let new = self.path("site/new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.path(&format!("site/{name}"))).unwrap();
    }

    /// Waits until its pcheck, which runs now, has gone: that moment.
    pub(super) fn until_pcheck_has_gone(&self) -> Instant {
        let inside = self.run("pgrep -f '^/run/site/watcher pcheck'");
        let pcheck = fs::read_dir("/proc").unwrap().find_map(|item| {
            let pid: u32 = item.ok()?.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
            let is_of_this_node = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
                == fs::read_link(format!("/proc/{}/ns/pid", self.init)).ok();
            (is_of_this_node && ids.split_whitespace().last() == Some(inside.trim())).then_some(pid)
        });
        // It may have given up before anybody looked.
        if let Some(pidfd) = pcheck.and_then(Pid::new).and_then(|pid| pidfd::open(pid).ok()) {
            assert!(pidfd::wait(&pidfd, *DEADLINE).unwrap(), "pcheck does not give up");
        }
        Instant::now()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is fine.
        let _ = self.namespaces.kill();
        let _ = self.namespaces.wait();
    }
}
