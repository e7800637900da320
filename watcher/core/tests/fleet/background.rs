//! Programs that go to the background, and what they leave behind.

use watcher_core::{
    Action, Ending, Event, Order, Signal, Span,
    fleet::{Doing, ProcStatus},
};

use crate::{
    stories::up,
    world::{Life, SECOND, Script, World},
};

#[test]
fn a_daemon_that_forks_soon_is_told_once() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::StartsDaemon(40);
    world.lines();
    world.kill(proc);
    world.pass(SECOND);
    let pid = world.view(1).pid.unwrap();
    let lines = world.lines();
    assert_eq!(lines[2..], ["Try to restart (/bin/svc)".to_owned(), format!("(/bin/svc ,pid={pid}) Up")]);
    let is_it = |process: &&watcher_core::pfile::select::Process| process.name.as_slice() == b"/bin/svc";
    let services: Vec<_> = world.processes.values().map(|(process, _)| process).filter(is_it).collect();
    assert!(matches!(services[..], [service] if service.proc.pid == pid), "the one that stays");
}

#[test]
fn a_daemon_that_forks_late_has_not_died() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::StartsDaemon(2_000);
    world.kill(proc);
    world.pass(SECOND);
    let launched = world.view(1).pid.unwrap();
    world.lines();
    world.pass(Span::of_seconds(2));
    let view = world.view(1);
    assert_eq!(world.lines(), [format!("(/bin/svc ,pid={}) Up", view.pid.unwrap())], "and no Down");
    assert_ne!(view.pid, Some(launched));
    assert_eq!((view.status, view.restart_count, view.doing), (ProcStatus::Avail, 1, Doing::Watching));
}

#[test]
fn who_leaves_nobody_behind_has_died_and_so_has_who_was_killed_or_ended_later() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.lines();
    // Soon after it was found, by itself: a look decides.
    world.end(proc, Ending::Exited { code: 0 });
    world.pass(SECOND);
    let lines = world.lines();
    let story = [
        format!("Process [/bin/svc,pid={}] Down", proc.pid),
        format!("Process [/bin/svc,pid={}] exited with code 0", proc.pid),
        "Try to restart (/bin/svc)".to_owned(),
    ];
    assert_eq!(lines[..3], story);
    // Long after: a sibling that is still there changes nothing.
    world.pass(Span::of_seconds(100));
    let second = *world.processes.keys().next_back().unwrap();
    world.start("/bin/svc");
    world.end(second, Ending::Exited { code: 0 });
    world.pass(SECOND);
    assert_eq!(world.view(1).restart_count, 2);
}

#[test]
fn a_group_of_daemons_is_started_without_false_deaths() {
    let entries = "/bin/a:/s:0:3:exit:grp_tag=g\n/bin/b:/s:0:3:exit:grp_tag=g";
    let mut world = World::new(entries);
    world.default_script = Script::StartsDaemon(1_500);
    world.begin();
    world.pass(Span::of_seconds(20));
    assert_eq!((world.view(1).restart_count, world.view(2).restart_count), (1, 1));
    assert!(!world.lines().iter().any(|line| line.ends_with("Down")));
    assert!(world.fleet.views().iter().all(|view| view.status == ProcStatus::Avail));
}

#[test]
fn workers_of_a_master_that_died_while_nobody_watched_are_not_taken_for_it() {
    let entry = "/usr/sbin/nginx:/start.sh:86400:3:exit";
    let (mut world, master) = up(entry, "/usr/sbin/nginx");
    world.pass(SECOND);
    let saved: Vec<_> = world.saved.values().cloned().collect();
    let mut next = World::with_saved(entry, &saved);
    next.now = world.now.after(SECOND);
    next.next_pid = world.next_pid;
    let worker = next.start("/usr/sbin/nginx");
    // It is of the master's process group.
    next.processes.get_mut(&worker).unwrap().0.group = Some(master.pid);
    next.begin();
    next.pass(SECOND);
    let lines = next.lines();
    assert_eq!(lines[0], format!("Process [/usr/sbin/nginx,pid={}] Down", master.pid));
    assert_eq!(lines[1], "Try to restart (/usr/sbin/nginx)");
    assert_ne!(next.view(1).pid, Some(worker.pid));
}

#[test]
fn an_orderly_end_leaves_word_of_a_script_that_still_runs_and_of_nothing_else() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::Hangs;
    world.kill(proc);
    world.pass(SECOND);
    world.event(Event::Stop { signal: Signal::TERM });
    let saved: Vec<_> = world.saved.values().cloned().collect();
    let [saved] = &saved[..] else { panic!("one entry has a script that runs") };
    assert_eq!((saved.retry_count, saved.restart_count, saved.paused), (0, 0, false));
    let (script, _) = saved.rare.script.expect("it runs");
    let mut next = World::with_saved("/bin/svc:/start.sh:86400:3:exit", std::slice::from_ref(saved));
    next.now = world.now.after(SECOND);
    next.start("/start.sh");
    let process = next.processes.pop_first().unwrap().1.0;
    next.processes.insert(script, (watcher_core::pfile::select::Process { proc: script, ..process }, Life::Alive));
    next.begin();
    next.pass(Span::of_seconds(60));
    assert_eq!(next.ran.len(), 0, "no second script");
    // Its time limit holds all the same: it is ended with all of its processes.
    next.pass(Span::of_seconds(300));
    let term = Action::SignalGroup { leader: script, signal: Signal::TERM };
    assert!(next.asked.contains(&term) && next.ran.len() == 1, "and then it is tried again");
    // Without one there is nothing to take up.
    let (mut world, _) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.order(Order::Pause(None));
    world.event(Event::Stop { signal: Signal::TERM });
    assert!(world.saved.is_empty());
}

#[test]
fn a_script_that_runs_for_long_is_told_of_since_it_may_hold_the_service_in_its_foreground() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::Hangs;
    world.kill(proc);
    world.pass(Span::of_seconds(29));
    world.lines();
    world.pass(Span::of_seconds(2));
    let line = "Restart script of (/bin/svc) runs for 30 s now: it must end, and leave the process in the background \
                [/start.sh]";
    assert_eq!(world.lines(), [line]);
}
