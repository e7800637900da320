//! Many pfiles with many entries in one process: nothing is lost, nothing is restarted twice, and what is wrong with one pfile
//! does nothing to the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CString,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill, lives, on_each_tier},
    is_emulated, is_long,
    pcheck::Pcheck,
    program::built,
    victim::Victim,
    wait::until,
};

/// How many pfiles there are, and how many entries in each.
#[derive(Clone, Copy)]
struct Size {
    pfiles: usize,
    each: usize,
}

impl Size {
    fn of_this_run() -> Self {
        match (is_long(), is_emulated()) {
            (true, false) => Self { pfiles: 500, each: 20 },
            (_, true) => Self { pfiles: 6, each: 10 },
            (false, false) => Self { pfiles: 30, each: 20 },
        }
    }

    fn all(self) -> usize {
        self.pfiles * self.each
    }
}

/// A host full of processes, each of which is watched by an entry.
struct Dense {
    host: Host,
    size: Size,
    _herd: Victim,
    /// Who was there at first.
    pids: Vec<Pid>,
}

impl Dense {
    fn new(size: Size) -> Self {
        let host = Host::new();
        fs::create_dir(host.path("rules.d")).unwrap();
        host.script("revive.sh", &format!("exec {} revive", built("idlers").display()));
        let mut command = Command::new(built("idlers"));
        let mut herd = Victim::run(command.args(["herd", &host.path("idler-"), &size.all().to_string()]));
        let pids = herd.next_word();
        let pids: Vec<_> = pids.split(' ').map(|pid| Pid::new(pid.parse().unwrap()).unwrap()).collect();
        assert_eq!(pids.len(), size.all());
        let dense = Self { host, size, _herd: herd, pids };
        (0..size.pfiles).for_each(|number| dense.write(number, number, ""));
        dense
    }

    fn name(&self, process: usize) -> String {
        self.host.path(&format!("idler-{process:05}"))
    }

    /// A pfile for the processes of this one, by this key.
    fn text(&self, number: usize, key: usize, param: &str) -> String {
        let script = self.host.path("revive.sh");
        let first = number * self.size.each;
        let entries = (first..first + self.size.each)
            .map(|process| format!("{}:{script}:86400:3:continue\n", self.name(process)));
        format!("IPCKEY {:#x}\nMONITOR_INTERVAL 5\n{param}{}", key + 1, entries.collect::<String>())
    }

    fn file(number: usize) -> String {
        format!("rules.d/{number:03}.pfile")
    }

    fn write(&self, number: usize, key: usize, param: &str) {
        self.host.write(&Self::file(number), &self.text(number, key, param));
    }

    fn daemon(&self, tier: Tier) -> Pcheck {
        let mut command = self.host.run("rules.d");
        command.args(["--tier", tier.name()]);
        // What most hosts allow at first is less than many pfiles take.
        let few = move || {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the structure lives on this stack.
            let done = unsafe {
                libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
                limit.rlim_cur = 48;
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)
            };
            if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: two system calls are all that is done in the child.
        unsafe { command.pre_exec(few) };
        Pcheck::start(&mut command)
    }

    /// Who was brought back, and how often.
    fn revived(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for name in self.host.read("revived").lines() {
            *all.entry(name.to_owned()).or_insert(0) += 1;
        }
        all
    }
}

/// Takes lines until so many processes were told to be there.
fn until_up(daemon: &mut Pcheck, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.extend(daemon.until(") Up"));
    }
    lines
}

/// How many of these lines contain this text.
fn told(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

/// Nothing but that one has gone, and is back.
fn is_of_a_restart(line: &str) -> bool {
    ["Process [", "(", "Try to restart (", "Restart script"].iter().any(|begin| line.starts_with(begin))
}

/// A file system with no room.
struct Full(String);

impl Full {
    fn new(path: &str) -> Self {
        fs::create_dir(path).unwrap();
        let c_path = CString::new(path).unwrap();
        // SAFETY: four strings, which live longer.
        let mounted =
            unsafe { libc::mount(c"none".as_ptr(), c_path.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=4k".as_ptr().cast()) };
        assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
        fs::write(Path::new(path).join("filler"), [0; 4096]).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let path = CString::new(self.0.as_str()).unwrap();
        // SAFETY: a string, which lives longer.
        assert_eq!(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }, 0);
    }
}

#[test]
fn many_pfiles_are_watched_and_reloaded_and_nothing_is_lost_or_done_twice() {
    let story = |tier| {
        let size = Size::of_this_run();
        let dense = Dense::new(size);
        let mut daemon = dense.daemon(tier);
        let lines = until_up(&mut daemon, size.all());
        assert_eq!(told(&lines, "Start pcheck: "), size.pfiles);
        assert_eq!(lines.len(), size.pfiles + size.all(), "and nothing else: {lines:#?}");

        // Half of them at once.
        let killed: BTreeSet<_> = (0..size.all()).step_by(2).collect();
        killed.iter().for_each(|process| kill(dense.pids[*process]));
        let lines = until_up(&mut daemon, killed.len());
        assert!(lines.iter().all(|line| is_of_a_restart(line)), "{lines:#?}");
        let once = |killed: &BTreeSet<usize>| killed.iter().map(|process| (dense.name(*process), 1)).collect();
        assert_eq!(dense.revived(), once(&killed), "each once, and nobody else");

        // Some change, some are broken, some go, some go and leave their key to another file.
        let kinds = ["stays", "changed", "broken", "gone", "replaced"];
        let of = |kind: &str| (0..size.pfiles).filter(|number| kinds[number % kinds.len()] == kind).collect::<Vec<_>>();
        let again = |number: usize| size.pfiles + number;
        of("changed").into_iter().for_each(|number| dense.write(number, number, "MSG_CHECK_INTERVAL 7\n"));
        for number in of("broken") {
            dense.host.write(&Dense::file(number), &(dense.text(number, number, "") + "/bin/x:/bin/y:1\n"));
        }
        for number in [of("gone"), of("replaced")].concat() {
            fs::remove_file(dense.host.path(&Dense::file(number))).unwrap();
        }
        for number in of("replaced") {
            dense.host.write(&Dense::file(again(number)), &dense.text(number, number, ""));
        }
        daemon.signal(libc::SIGHUP);
        let mut lines = until_up(&mut daemon, of("replaced").len() * size.each);
        let ended = |lines: &[String]| {
            told(lines, ": Reloaded: ")
                + told(lines, "Not watched any more: ")
                + told(lines, "Reload fail, the old rules stay: ")
        };
        while ended(&lines) < size.pfiles {
            lines.push(daemon.line());
        }
        assert_eq!(told(&lines, "Not watched: "), 0, "{lines:#?}");
        for number in of("broken") {
            let place = format!("/{}:{}:", Dense::file(number), size.each + 3);
            assert_eq!(told(&lines, &place), 1, "{place} {lines:#?}");
        }
        let unchanged = format!(": Reloaded: {} unchanged", size.each);
        assert_eq!(told(&lines, &unchanged), of("stays").len() + of("changed").len(), "{lines:#?}");
        assert_eq!(told(&lines, "Not watched any more: "), of("gone").len() + of("replaced").len(), "{lines:#?}");
        assert_eq!(told(&lines, "Start pcheck: "), of("replaced").len(), "{lines:#?}");

        // Of each pfile one more. Where the file has gone nobody brings it back; where it is broken the old rules do.
        let more: BTreeSet<_> = (0..size.pfiles).map(|number| number * size.each + 1).collect();
        more.iter().for_each(|process| kill(dense.pids[*process]));
        let gone: BTreeSet<_> = of("gone").into_iter().map(|number| number * size.each + 1).collect();
        let lines = until_up(&mut daemon, more.len() - gone.len());
        assert!(lines.iter().all(|line| is_of_a_restart(line)), "{lines:#?}");
        let back: BTreeSet<_> = killed.union(&more).copied().filter(|process| !gone.contains(process)).collect();
        assert_eq!(dense.revived(), once(&back));
        let end = daemon.stop();
        assert_eq!(end, [""; 0]);
        let others = (0..size.all()).filter(|process| !back.contains(process) && !gone.contains(process));
        assert!(others.clone().count() > 0 && others.into_iter().all(|process| lives(dense.pids[process])));
    };
    if is_long() { on_each_tier_in_turn(story) } else { on_each_tier(story) }
}

/// Tier ebpf: its table has room for 1,024 where few are watched at the start, and cannot grow.
#[test]
fn more_than_the_kernel_was_asked_to_make_room_for_are_watched_all_the_same() {
    let size = Size { pfiles: 12, each: 100 };
    if !Tier::Ebpf.is_wanted() || is_emulated() {
        return;
    }
    let dense = Dense::new(size);
    fs::rename(dense.host.path("rules.d"), dense.host.path("later")).unwrap();
    fs::create_dir(dense.host.path("rules.d")).unwrap();
    let mut daemon = dense.daemon(Tier::Ebpf);
    daemon.until("No pfile is watched");
    fs::remove_dir(dense.host.path("rules.d")).unwrap();
    fs::rename(dense.host.path("later"), dense.host.path("rules.d")).unwrap();
    daemon.signal(libc::SIGHUP);
    // Told after all that the same look has found.
    let mut lines = until_up(&mut daemon, size.all());
    lines.extend(daemon.until("The kernel's table of watched processes takes no more"));
    assert!(!lines.iter().any(|line| line.contains("can only be looked at")), "{lines:#?}");
    dense.pids.iter().for_each(|pid| kill(*pid));
    let lines = until_up(&mut daemon, size.all());
    assert!(lines.iter().all(|line| is_of_a_restart(line)), "{lines:#?}");
    assert_eq!(dense.revived(), (0..size.all()).map(|process| (dense.name(process), 1)).collect());
    assert_eq!(daemon.stop(), [""; 0]);
}

/// One after the other: the host is full with one.
fn on_each_tier_in_turn(story: impl Fn(Tier)) {
    watcher_tests::host::EACH_TIER.iter().copied().filter(|tier| tier.is_wanted()).for_each(story);
}

#[test]
fn what_is_wrong_with_one_pfile_does_nothing_to_the_others() {
    let size = Size { pfiles: if is_emulated() { 6 } else { 12 }, each: 5 };
    let dense = Dense::new(size);
    let _full = Full::new(&dense.host.path("full"));
    let gate = dense.host.gate("gate");
    let of = |number: usize, script: &str, param: &str| {
        let text = dense.text(number, number, param).replace(&dense.host.path("revive.sh"), script);
        dense.host.write(&Dense::file(number), &text);
    };
    of(0, &dense.host.path("missing.sh"), "");
    of(1, &dense.host.script("hangs.sh", &format!("read line <{gate}")), "");
    of(2, &dense.host.path("revive.sh"), &format!("SHM_DUMP_FILE {}\n", dense.host.path("full/dump")));
    of(3, "/bin/y:1\n#", "");
    fs::create_dir(dense.host.path("rules.d/folder.pfile")).unwrap();
    let pipe = dense.host.gate("rules.d/pipe.pfile");
    let twin = dense.host.write("rules.d/twin.pfile", &dense.text(4, 4, ""));
    let mut daemon = dense.daemon(Tier::best());
    let lines = until_up(&mut daemon, (size.pfiles - 1) * size.each);
    assert_eq!(told(&lines, "Not watched: "), 4, "{lines:#?}");
    for why in ["003.pfile:3:", "folder.pfile cannot be read: ", &format!("{pipe} cannot be read: "), &twin] {
        assert_eq!(told(&lines, why), 1, "{why} {lines:#?}");
    }
    dense.pids.iter().for_each(|pid| kill(*pid));
    let healthy: BTreeSet<_> = (0..size.all()).filter(|process| !matches!(process / size.each, 0 | 1 | 3)).collect();
    let mut lines = until_up(&mut daemon, healthy.len());
    while told(&lines, "the dump file ") == 0 {
        lines.push(daemon.line());
    }
    assert_eq!(dense.revived(), healthy.iter().map(|process| (dense.name(*process), 1)).collect());
    // All of it is told of, and of nobody else.
    assert!(told(&lines, "missing.sh") > 0, "{lines:#?}");
    // A reload of all is no matter either.
    fs::remove_file(&twin).unwrap();
    daemon.signal(libc::SIGHUP);
    let mut lines = Vec::new();
    while told(&lines, ": Reloaded: ") < size.pfiles - 1 || told(&lines, "Not watched: ") < 3 {
        lines.push(daemon.line());
    }
    assert_eq!(told(&lines, "Not watched: "), 3, "{lines:#?}");
    drop(daemon);
    until("its lock has gone", || watcher::executor::rundir::running(Path::new(&dense.host.run_dir())).is_empty());
}
