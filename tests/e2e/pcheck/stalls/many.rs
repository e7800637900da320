//! Hundreds of services: asked soon, not in step, and at no cost that grows.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
};

use watcher_core::Pid;
use watcher_tests::{
    block::Block,
    host::{Host, Tier},
    is_emulated,
    pcheck::{Pcheck, die_with_the_test},
    server::{Manner, Server},
    wait::until,
};

/// So many; and how many seconds more than an interval the first check of the last of them may take, for a host that has other
/// things to do. Eleven others list all these processes at the same time, which takes an emulated machine too long.
fn count_and_grace() -> (usize, usize) {
    if is_emulated() { (50, Block::SHORTEST as usize) } else { (500, 5) }
}

/// A file of `/proc` about a process, and in it the number that comes after this word.
fn number(pid: Pid, file: &str, word: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let number = text.lines().find_map(|line| line.strip_prefix(word));
    number.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A shell that is so many processes: all of them end with it.
struct Herd(Child);

impl Herd {
    fn start(host: &Host, count: usize) -> Self {
        std::os::unix::fs::symlink("/usr/bin/sleep", host.path("sleep")).unwrap();
        // Each of them, too, dies with whoever has started it.
        let body = format!(
            "number=0\nwhile [ $number -lt {count} ]; do\nnumber=$((number + 1))\n\
             setpriv --pdeathsig KILL ${{H}}sleep infinity ${{number}}s &\ndone\nwait"
        );
        let mut command = Command::new(host.script("herd.sh", &body));
        die_with_the_test(&mut command);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(super) fn hundreds_of_services(tier: Tier) {
    let (host, (count, grace)) = (Host::new(), count_and_grace());
    let server = Server::start(Manner::Answers);
    let (sleep, script) = (host.path("sleep"), host.script("start.sh", "exit 0"));
    let entries = (1..=count).map(|number| {
        format!(
            "{sleep}:{script}:86400:3:exit:include_strings=infinity {number}s\n#@ path=/{number}\n{}",
            Block::web(server.port)
        )
    });
    host.rules(&entries.collect::<String>());
    let herd = Herd::start(&host, count);
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", herd.0.id())).unwrap();
    let sleeps = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).unwrap().starts_with(sleep.as_bytes());
    until("all are there", || {
        let children = children();
        children.split_whitespace().count() == count && children.split_whitespace().all(sleeps)
    });
    let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
    (0..count).for_each(|_| {
        pcheck.published();
    });
    let (up, pid) = (pcheck.last, pcheck.pid());

    until("each was asked", || server.asked().iter().map(|(_, path)| path).collect::<BTreeSet<_>>().len() == count);
    let asked = server.asked();
    let mut second = [0; 60];
    for (at, _) in &asked {
        second[at.saturating_duration_since(up).as_secs() as usize] += 1;
    }
    let late: usize = second[Block::SHORTEST as usize + grace..].iter().sum();
    assert_eq!(late, 0, "asked in each second: {second:?}");
    assert!(
        second.iter().all(|asked| *asked <= if is_emulated() { count * 2 / 3 } else { count / 3 }),
        "asked in each second: {second:?}"
    );

    let cost =
        || (descriptors(pid), number(pid, "status", "RssAnon:"), number(pid, "status", "voluntary_ctxt_switches:"));
    let mut costs = vec![cost()];
    // How many checks run at once is chance, and so is how much memory they take at most. But it does not grow for ever.
    while !costs.windows(2).any(|costs| costs[1].1 <= costs[0].1 + 256) {
        assert!(costs.len() < 5, "descriptors, KiB and sleeps: {costs:?}");
        server.is_asked(2 * count);
        costs.push(cost());
    }
    let ((files, _, sleeps), (_, _, sleeps_now)) = (costs[0], costs[costs.len() - 1]);
    // The same with them: what is not closed stays so.
    until("there are no more descriptors than before", || descriptors(pid) <= files + 20);
    let turns = (sleeps_now - sleeps) / ((costs.len() as u64 - 1) * 2 * count as u64);
    assert!(turns <= 12, "it wakes up {turns} times for each check");
    assert_eq!(pcheck.stop(), [] as [String; 0]);
}
