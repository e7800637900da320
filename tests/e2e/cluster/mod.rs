//! Two nodes, as Debian's Pacemaker and Corosync make a cluster of them: a fault that a restart cures leads to no failover, one that
//! it does not cure leads to one at once. It takes minutes and packages: `cargo xtask cluster` installs them and tells it.

mod client;
mod net;
mod node;
mod service;

use std::{path::Path, time::Instant};

use watcher_tests::{is_long, wait::until};

use self::{
    client::Client,
    net::Net,
    node::Node,
    service::{HTTPD, Service, TOMCAT},
};

/// The address that moves with the service.
const ADDRESS: &str = "10.77.0.100";

/// What the cluster keeps. The monitor of `watch` comes far too late to explain anything that is seen here.
const RESOURCES: &str = r#"<resources>
  <group id="web">
    <primitive id="address" class="ocf" provider="heartbeat" type="IPaddr2">
      <instance_attributes id="address-parameters">
        <nvpair id="address-ip" name="ip" value="ADDRESS"/>
        <nvpair id="address-netmask" name="cidr_netmask" value="24"/>
      </instance_attributes>
    </primitive>
    <primitive id="service" class="ocf" provider="heartbeat" type="AGENT">
      <instance_attributes id="service-parameters">PARAMETERS</instance_attributes>
      <operations>
        <op id="service-start" name="start" interval="0" timeout="120s"/>
        <op id="service-stop" name="stop" interval="0" timeout="120s"/>
      </operations>
    </primitive>
    <primitive id="watch" class="ocf" provider="watcher" type="pcheck">
      <instance_attributes id="watch-parameters">
        <nvpair id="watch-pfile" name="pfile" value="/run/site/site.pfile"/>
        <nvpair id="watch-binary" name="binary" value="/run/site/watcher"/>
      </instance_attributes>
      <meta_attributes id="watch-meta">
        <nvpair id="watch-threshold" name="migration-threshold" value="1"/>
      </meta_attributes>
      <operations>
        <op id="watch-monitor" name="monitor" interval="600s" timeout="20s"/>
      </operations>
    </primitive>
  </group>
</resources>
"#;

const PADMIN: &str = "/run/site/watcher padmin -f /run/site/site.pfile -c";

#[test]
fn httpd_fails_over_when_pcheck_gives_up_and_not_before() {
    story(&HTTPD);
}

#[test]
fn tomcat_fails_over_when_pcheck_gives_up_and_not_before() {
    story(&TOMCAT);
}

fn story(service: &Service) {
    if !is_long() {
        eprintln!("skipped: it takes minutes, and Pacemaker; `cargo xtask cluster` tells it");
        return;
    }
    for program in ["/usr/sbin/pacemakerd", "/usr/sbin/corosync", "/usr/lib/ocf/resource.d/heartbeat/apache"] {
        assert!(Path::new(program).exists(), "{program} is missing: `cargo xtask cluster` installs it");
    }
    let Service { agent, parameters, program, .. } = service;
    let kill_all = format!("pkill -KILL -f ^{program}");
    let net = Net::new();
    let nodes = [1, 2].map(|number| Node::start(&net, service, number));
    // The first election takes 20 s.
    until("both nodes are in the cluster", || nodes[0].run("crm_mon -1").contains("Online: [ node1 node2 ]"));
    for (kind, name, value) in [
        ("crm_config", "stonith-enabled", "false"),
        ("crm_config", "no-quorum-policy", "ignore"),
        ("rsc_defaults", "resource-stickiness", "100"),
    ] {
        nodes[0].does(&format!("crm_attribute --type {kind} --name {name} --update {value}"));
    }
    let parameter = |name, value| format!(r#"<nvpair id="service-{name}" name="{name}" value="{value}"/>"#);
    let parameters: String = parameters.iter().map(|(name, value)| parameter(name, value)).collect();
    let resources = RESOURCES.replace("ADDRESS", ADDRESS).replace("AGENT", agent).replace("PARAMETERS", &parameters);
    let resources = nodes[0].write("resources.xml", &resources);
    nodes[0].does(&format!("cibadmin --replace --scope resources --xml-file {resources}"));
    let client = Client::start(&net);
    let home = client.until_somebody_answers();
    let node = |number: u8| &nodes[usize::from(number) - 1];
    until("pcheck watches", || runs_on("watch", home, &nodes));
    until("one pcheck and one service run", || runs(node(home), program) == (1, 1));

    let shows = |count| {
        let shown = node(home).run(&format!("{PADMIN} 'show pent'"));
        shown.contains(&format!("restart_count        = {count}\nproc_sts             = AVAIL\n"))
    };
    until("pcheck has found it", || shows(0));

    // A fault that a restart cures.
    node(home).does(&kill_all);
    until("it was restarted", || shows(1));
    until("it answers again", || client.hears_again(home));
    assert!(client.meanwhile().iter().all(|answer| [None, Some(home)].contains(answer)), "only its own node answers");
    eprint!("{}", node(home).run("/run/site/watcher why -f /run/site/site.pfile"));
    let shown = nodes[0].run("crm_mon -1 --failcounts");
    assert!(!shown.contains("fail-count"), "to the cluster nothing has happened: {shown}");

    // One that it does not.
    node(home).script("restart.sh", "#!/bin/sh\nexit 1\n");
    let killed = Instant::now();
    node(home).does(&kill_all);
    client.until_nobody_answers();
    let gave_up = node(home).until_pcheck_has_gone();
    let other = client.until_somebody_answers();
    let (all, after) = (killed.elapsed(), gave_up.elapsed());
    assert_ne!(other, home);
    eprintln!(
        "{agent}: given up after {:.2?}; the other node answers {after:.2?} after that",
        all.saturating_sub(after)
    );
    until("all of the group has moved", || runs_on("watch", other, &nodes));
    let shown = nodes[0].run("crm_mon -1 --failcounts");
    assert!(shown.contains("asyncmon") && shown.contains("migration-threshold=1"), "it was told, not found: {shown}");
    until("nothing of it is left at home", || {
        (runs(node(home), program), runs(node(other), program)) == ((0, 0), (1, 1))
    });

    // Failing back is for the operator.
    node(home).script("restart.sh", &service.restart_script());
    nodes[0].does("crm_resource --cleanup --resource watch");
    let moved = Instant::now();
    nodes[0].does(&format!("crm_resource --move --resource web --node node{home}"));
    client.until_nobody_answers();
    assert_eq!(client.until_somebody_answers(), home);
    eprintln!("{agent}: moved back by hand after {:.2?}", moved.elapsed());
    until("all of the group is back", || runs_on("watch", home, &nodes));
    nodes[0].does("crm_resource --clear --resource web");
    until("nothing of it is left there", || {
        (runs(node(home), program), runs(node(other), program)) == ((1, 1), (0, 0))
    });

    // It ends with the group, and the cluster takes that for no fault.
    nodes[0].does("crm_resource --resource web --meta --set-parameter target-role --parameter-value Stopped");
    client.until_nobody_answers();
    until("the group is stopped", || runs(node(home), program) == (0, 0));
    let shown = nodes[0].run("crm_mon -1 --failcounts");
    assert!(!shown.contains("asyncmon"), "{shown}");
}

/// Whether the cluster knows it there.
fn runs_on(resource: &str, number: u8, nodes: &[Node]) -> bool {
    let shown = nodes[0].run(&format!("crm_resource --locate --resource {resource}"));
    shown.contains(&format!("is running on: node{number}"))
}

/// How many pchecks there are, and how many processes of the service that are no workers.
fn runs(node: &Node, program: &str) -> (usize, usize) {
    let count = |pattern: &str| node.run(&format!("pgrep -u root -f '{pattern}'")).lines().count();
    (count("^/run/site/watcher pcheck"), count(&format!("^{program}")))
}
