//! Stories of a fleet, on a host made of numbers: the published ones first, with their messages to the byte.

use crate::world::{Life, SECOND, Script, World};
use watcher_core::{
    Ending, Finish, Reason, RunEnd, Signal, Span,
    fleet::{Doing, ProcStatus},
    pfile::{EntryNumber, RetryOver},
};

pub(crate) const ONE: &str = "/usr/bin/java:/start.sh:86400:3:exit:include_strings=apache&tomcat";

pub(crate) fn number(entry: usize) -> EntryNumber {
    EntryNumber::of_index(entry - 1)
}

/// Begun, with its one process there.
pub(crate) fn up(text: &str, command_line: &str) -> (World, watcher_core::ProcId) {
    let mut world = World::new(text);
    let proc = world.start(command_line);
    world.start("/usr/bin/java other");
    world.pass(SECOND);
    world.begin();
    (world, proc)
}

#[test]
fn a_process_is_found_by_its_strings_dies_and_is_brought_back() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    assert_eq!(world.lines(), [format!("(/usr/bin/java ,pid={}) Up", proc.pid)]);
    let before = world.view(1);
    assert_eq!((before.retry_count, before.restart_count, before.rerun), (0, 0, None));
    world.pass(Span::of_seconds(3_600));
    let killed_at = world.now;
    world.kill(proc);
    world.pass(SECOND);
    let after = world.view(1);
    assert_eq!(
        world.lines(),
        [
            format!("Process [/usr/bin/java,pid={}] Down", proc.pid),
            format!("Process [/usr/bin/java,pid={}] killed by SIGKILL", proc.pid),
            "Try to restart (/usr/bin/java)".to_owned(),
            format!("(/usr/bin/java ,pid={}) Up", after.pid.unwrap()),
        ]
    );
    assert_ne!(after.pid, Some(proc.pid));
    assert_eq!((after.retry_count, after.restart_count, after.status), (1, 1, ProcStatus::Avail));
    let (ran_at, order) = world.ran.first().unwrap();
    assert_eq!(ran_at.since(killed_at), world.teardown, "as soon as what it held is free");
    assert_eq!((order.old, order.retry_count, order.reason), (Some(proc.pid), 1, Reason::Down));
    assert_eq!(order.cause.as_deref(), Some("killed by SIGKILL"));
    assert_eq!(after.rerun.unwrap().unix_ns, ran_at.0);
}

#[test]
fn a_script_that_starts_nothing_leads_to_retry_over_not_sooner_than_the_original() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.default_script = Script::DoesNothing;
    world.lines();
    let began = world.now;
    world.kill(proc);
    world.pass(Span::of_seconds(100));
    let down = format!("Process [/usr/bin/java,pid={}] Down", proc.pid);
    let again = "Try to restart (/usr/bin/java)".to_owned();
    let cause = format!("Process [/usr/bin/java,pid={}] killed by SIGKILL", proc.pid);
    let (over, fatal) = ("(/usr/bin/java) RETRY_OVER:EXIT".to_owned(), "(/usr/bin/java) FATAL".to_owned());
    let story = [&down, &cause, &again, &down, &again, &down, &again, &down, &over, &fatal];
    assert_eq!(world.lines(), story.map(String::clone));
    assert_eq!(world.finish, Some(Finish::RetryOver(RetryOver::Exit)));
    assert!(world.told.last().unwrap().0.since(began) >= Span::of_seconds(30));
}

#[test]
fn what_dies_right_after_each_start_costs_at_least_an_interval_a_try() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:continue\n/bin/other:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::StartsWhatDies(3);
    world.scripts.insert(2, Script::Restarts(1));
    let began = world.now;
    world.kill(proc);
    world.pass(Span::of_seconds(100));
    let starts: Vec<_> = world.ran.iter().filter(|(_, order)| order.number == number(1)).map(|(at, _)| *at).collect();
    assert_eq!(starts.len(), 3);
    assert!(starts.windows(2).all(|pair| pair[1].since(pair[0]) >= Span::of_seconds(10)));
    let over = world.told.iter().find(|(_, told)| told.note.name() == "retry_over").unwrap().0;
    assert!(over.since(began) >= Span::of_seconds(30), "{}", over.since(began));
    assert_eq!(world.finish, None, "the other entries are watched still");
    let (given_up, other) = (world.view(1), world.view(2));
    assert_eq!((given_up.status, given_up.monitored, given_up.doing), (ProcStatus::Unavail, false, Doing::GaveUp));
    assert_eq!((other.status, other.monitored), (ProcStatus::Avail, true));
    assert!(world.lines().contains(&"(/bin/svc) RETRY_OVER:CONTINUE".to_owned()));
    let other = world.processes.keys().next_back().copied().unwrap();
    world.kill(other);
    world.pass(SECOND);
    assert_eq!(world.view(2).restart_count, 2);
}

#[test]
fn shutdown_ends_the_watch_without_fatal() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:0:SHUTDOWN", "/bin/svc");
    world.lines();
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!(world.lines().last().unwrap(), "(/bin/svc) RETRY_OVER:SHUTDOWN");
    assert_eq!(world.finish, Some(Finish::RetryOver(RetryOver::Shutdown)));
    assert!(world.ran.is_empty(), "no retry was allowed");
}

#[test]
fn without_a_process_at_the_start_one_is_started() {
    let mut world = World::new(ONE);
    world.begin();
    world.pass(SECOND);
    let lines = world.lines();
    let pid = world.view(1).pid.unwrap();
    let story =
        ["Set pid fail (/usr/bin/java)", "Try to restart (/usr/bin/java)", &format!("(/usr/bin/java ,pid={pid}) Up")];
    assert_eq!(lines, story);
    assert_eq!(world.view(1).retry_count, 1, "it counts as a retry");
}

#[test]
fn no_script_runs_before_the_dead_have_gone_however_long_that_takes() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.teardown = Span::of_seconds(90);
    world.kill(proc);
    world.pass(Span::of_seconds(89));
    assert_eq!((world.ran.len(), world.view(1).doing), (0, Doing::Dying));
    assert!(world.lines().contains(&format!("Process [/usr/bin/java,pid={}] Down", proc.pid)), "told at once");
    world.pass(Span::of_seconds(2));
    assert_eq!((world.ran.len(), world.view(1).status), (1, ProcStatus::Avail));
}

#[test]
fn who_is_brought_back_by_somebody_else_while_a_restart_has_to_wait_is_not_restarted() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.kill(proc);
    world.pass(SECOND);
    let again = *world.processes.keys().next_back().unwrap();
    world.kill(again);
    world.pass(SECOND);
    assert_eq!((world.ran.len(), world.view(1).doing), (1, Doing::Pacing));
    let brought = world.start("/bin/svc");
    world.pass(Span::of_seconds(20));
    assert_eq!((world.ran.len(), world.view(1).pid, world.view(1).retry_count), (1, Some(brought.pid), 1));
    assert!(world.lines().contains(&format!("(/bin/svc ,pid={}) Up", brought.pid)));
}

#[test]
fn a_process_may_take_its_time_to_appear_and_is_up_when_it_does() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.default_script = Script::RestartsLate(4_321);
    world.kill(proc);
    world.pass(Span::of_millis(4_200));
    assert_eq!(world.view(1).doing, Doing::Appearing);
    assert_eq!(world.expected.iter().collect::<Vec<_>>(), ["java"], "its start is waited for");
    world.pass(Span::of_millis(300));
    assert_eq!(world.view(1).status, ProcStatus::Avail);
    assert!(world.expected.is_empty());
}

#[test]
fn the_remains_of_a_fork_server_are_not_taken_for_the_new_one() {
    let mut world = World::new("/usr/sbin/httpd:/start.sh:86400:3:exit");
    let parent = world.start("/usr/sbin/httpd");
    world.pass(SECOND);
    let worker = world.start("/usr/sbin/httpd");
    world.begin();
    assert_eq!(world.view(1).pid, Some(parent.pid), "the oldest is watched");
    world.pass(SECOND);
    world.kill(parent);
    world.pass(SECOND);
    let pid = world.view(1).pid.unwrap();
    assert!(pid != parent.pid && pid != worker.pid);
    // When nothing newer comes, a process of that name is better than none.
    world.default_script = Script::DoesNothing;
    let newest = world.processes.keys().copied().find(|proc| proc.pid == pid).unwrap();
    world.pass(Span::of_seconds(60));
    world.kill(newest);
    world.pass(Span::of_seconds(9));
    assert_eq!(world.view(1).doing, Doing::Appearing);
    world.pass(Span::of_seconds(2));
    assert_eq!(world.view(1).pid, Some(worker.pid));
}

#[test]
fn scripts_that_hang_are_ended_and_hold_up_nobody() {
    let entries = "/bin/a:/s:0:1:continue\n#@ script_timeout=70\n/bin/b:/s:0:1:continue\n/bin/c:/s:0:1:continue";
    let mut world = World::new(entries);
    world.scripts.extend([(1, Script::Hangs), (2, Script::HangsHard)]);
    world.begin();
    world.pass(Span::of_seconds(5));
    assert_eq!(world.view(3).status, ProcStatus::Avail, "two hang, and two may run at once");
    world.pass(Span::of_seconds(800));
    let ended = |world: &World, entry: usize, signal| {
        let by = RunEnd::Ended(Ending::Killed { signal, core_dumped: false });
        world.count(entry, |note| matches!(note, watcher_core::Note::ScriptEnded { end, .. } if *end == by))
    };
    assert_eq!(ended(&world, 1, Signal::TERM), 1);
    assert_eq!(ended(&world, 2, Signal::KILL), 1);
    let lines = world.lines();
    assert!(lines.contains(&"Restart script of (/bin/a) takes longer than 70 s, it is ended [/s]".to_owned()));
    assert!(lines.contains(&"(/bin/a) RETRY_OVER:CONTINUE".to_owned()), "{lines:#?}");
}

#[test]
fn a_script_that_cannot_be_started_counts_and_is_told() {
    let (mut world, proc) = up("/bin/svc:/gone.sh:86400:1:exit", "/bin/svc");
    world.default_script = Script::Missing;
    world.kill(proc);
    world.pass(Span::of_seconds(60));
    let lines = world.lines();
    assert!(lines.contains(&"Restart script of (/bin/svc) was not started: no such file [/gone.sh]".to_owned()));
    assert_eq!(world.finish, Some(Finish::RetryOver(RetryOver::Exit)));
}

#[test]
fn a_group_is_stopped_from_last_to_first_and_started_from_first_to_last() {
    let tag = "grp_tag=shop";
    let entries = format!(
        "/bin/db:/s:0:3:exit:{tag}\n/bin/lone:/s:0:3:exit\n/bin/app:/s:0:3:exit:{tag}\n/bin/web:/s:0:3:exit:{tag}"
    );
    let mut world = World::new(&entries);
    let db = world.start("/bin/db");
    world.start("/bin/lone");
    let app = world.start("/bin/app");
    let web = world.start_stubborn("/bin/web");
    world.begin();
    world.pass(SECOND);
    world.lines();
    world.kill(app);
    world.pass(Span::of_seconds(9));
    assert!(world.processes.contains_key(&web) && world.processes.contains_key(&db), "each in its turn");
    world.pass(Span::of_seconds(5));
    let lines: Vec<_> = world.lines().into_iter().filter(|line| !line.ends_with("Up")).collect();
    let story = [
        format!("Process [/bin/app,pid={}] Down", app.pid),
        format!("Process [/bin/app,pid={}] killed by SIGKILL", app.pid),
        "(/bin/app) Restart group [shop]".to_owned(),
        format!("Process [/bin/web,pid={}] is ended to restart group [shop]", web.pid),
        format!("Killed Process: pid= {}", web.pid),
        format!("Process [/bin/db,pid={}] is ended to restart group [shop]", db.pid),
        "Try to restart (/bin/db)".to_owned(),
        "Try to restart (/bin/app)".to_owned(),
        "Try to restart (/bin/web)".to_owned(),
    ];
    assert_eq!(lines, story);
    for entry in [1, 3, 4] {
        let view = world.view(entry);
        assert_eq!((view.status, view.retry_count, view.restart_count), (ProcStatus::Avail, 1, 1), "{entry}");
    }
    assert_eq!(world.view(2).restart_count, 0);
}

#[test]
fn counts_are_looked_at_each_interval_and_must_be_wrong_twice() {
    let mut world = World::new("/bin/svc:/s:86400:3:exit:min_proc_count=2:max_proc_count=3");
    let procs: Vec<_> = (0..4).map(|_| world.start("/bin/svc")).collect();
    world.begin();
    world.lines();
    world.pass(Span::of_millis(10_500));
    world.kill(procs[3]);
    world.pass(Span::of_seconds(30));
    assert_eq!(world.lines(), [] as [&str; 0], "one too many for a moment is not worth a restart");
    world.kill(procs[2]);
    world.kill(procs[1]);
    world.pass(Span::of_seconds(12));
    let story = ["Process [/bin/svc] has 1 process, wanted are 2 to 3", "Try to restart (/bin/svc)"];
    assert_eq!(world.lines(), story);
    assert_eq!(world.ran[0].1.reason, Reason::Count);
    assert_eq!(world.view(1).pid, Some(procs[0].pid), "the one that is watched is still there");
    world.pass(Span::of_seconds(60));
    assert_eq!(world.ran.len(), 1);
}

#[test]
fn the_retry_count_begins_anew_when_the_grace_is_over() {
    let mut world = World::new("/bin/svc:/s:100:2:exit");
    world.begin();
    for _ in 0..10 {
        world.pass(Span::of_seconds(60));
        let proc = *world.processes.keys().next().unwrap();
        world.kill(proc);
    }
    world.pass(SECOND);
    assert_eq!(world.finish, None);
    assert_eq!(world.view(1).restart_count, 11);
    assert!(world.view(1).retry_count <= 2);
}

#[test]
fn a_new_watch_takes_up_what_a_killed_one_left() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.kill(proc);
    world.pass(SECOND);
    let saved: Vec<_> = world.saved.values().cloned().collect();
    // It dies while nobody watches.
    let mut next = World::with_saved(ONE, &saved);
    next.now = world.now.after(SECOND);
    next.begin();
    next.pass(SECOND);
    let old = world.view(1).pid.unwrap();
    assert_eq!(next.lines().first().unwrap(), &format!("Process [/usr/bin/java,pid={old}] Down"));
    next.pass(Span::of_seconds(20));
    let view = next.view(1);
    assert_eq!((view.status, view.retry_count, view.restart_count), (ProcStatus::Avail, 2, 2));
}

#[test]
fn a_script_that_outlived_its_watch_is_waited_for() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.default_script = Script::Hangs;
    world.kill(proc);
    world.pass(SECOND);
    let saved: Vec<_> = world.saved.values().cloned().collect();
    let (script, _) = saved[0].rare.script.expect("a script runs");
    let mut next = World::with_saved(ONE, &saved);
    next.now = world.now.after(SECOND);
    let mut process = world.processes.values().next().unwrap().0.clone();
    process.proc = script;
    process.name = "/start.sh".into();
    next.processes.insert(script, (process, Life::Alive));
    next.begin();
    next.pass(Span::of_seconds(60));
    assert_eq!((next.ran.len(), next.view(1).doing), (0, Doing::Restarting));
    next.start("/usr/bin/java apache tomcat");
    next.kill(script);
    next.pass(SECOND);
    assert_eq!((next.ran.len(), next.view(1).status, next.view(1).retry_count), (0, ProcStatus::Avail, 1));
}

#[test]
fn a_watch_that_was_stopped_for_long_judges_nothing_without_a_fresh_look() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.default_script = Script::RestartsLate(8_000);
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!(world.view(1).doing, Doing::Appearing);
    world.sleep_through(Span::of_seconds(3_600));
    world.pass(Span::of_millis(200));
    assert_eq!((world.view(1).status, world.view(1).restart_count), (ProcStatus::Avail, 1));
}

#[test]
fn a_thousand_deaths_at_once_are_each_restarted_once_two_at_a_time() {
    let entries: Vec<_> = (1..=1_000).map(|n| format!("/bin/svc:/s:86400:3:exit:include_strings=n{n:04}")).collect();
    let mut world = World::new(&entries.join("\n"));
    let procs: Vec<_> = (1..=1_000).map(|n| world.start(&format!("/bin/svc n{n:04}"))).collect();
    world.begin();
    world.pass(SECOND);
    procs.iter().for_each(|proc| world.kill(*proc));
    let mut most = 0;
    for _ in 0..1_000 {
        world.pass(Span::of_millis(10));
        most = most.max(world.running.len());
    }
    assert!(most <= 2, "{most}");
    assert!(world.fleet.views().iter().all(|view| (view.restart_count, view.status) == (1, ProcStatus::Avail)));
}
