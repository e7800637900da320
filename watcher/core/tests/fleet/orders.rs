//! What operators order: pauses, reloads, values, the end.

use watcher_core::{
    Answer, Event, Finish, Order, Setting, Signal, Span,
    fleet::{Doing, ProcStatus},
    pfile::Seconds,
};

use crate::{
    stories::{ONE, number, up},
    world::{Life, SECOND, Script, World, rules},
};

#[test]
fn a_paused_watch_does_nothing_and_finds_afterwards_what_died() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.lines();
    assert_eq!(world.order(Order::Pause(None)), Answer::Done);
    world.kill(proc);
    world.pass(Span::of_seconds(100));
    assert_eq!(world.lines(), [] as [&str; 0]);
    let paused = world.view(1);
    assert_eq!((paused.status, paused.monitored, paused.doing), (ProcStatus::Avail, false, Doing::Paused));
    assert_eq!(world.order(Order::Resume(None)), Answer::Done);
    world.pass(SECOND);
    let pid = world.view(1).pid.unwrap();
    let story = [
        format!("Process [/usr/bin/java,pid={}] Down", proc.pid),
        "Try to restart (/usr/bin/java)".to_owned(),
        format!("(/usr/bin/java ,pid={pid}) Up"),
    ];
    assert_eq!(world.lines(), story);
}

#[test]
fn after_a_pause_a_process_that_the_operator_restarted_is_taken_and_one_that_lived_on_is_not_told_again() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.lines();
    world.order(Order::Pause(None));
    world.order(Order::Resume(None));
    assert_eq!(world.lines(), [] as [&str; 0]);
    world.order(Order::Pause(Some(number(1))));
    world.kill(proc);
    world.pass(SECOND);
    let new = world.start("/usr/bin/java apache tomcat");
    world.order(Order::Resume(Some(number(1))));
    assert_eq!(world.lines(), [format!("(/usr/bin/java ,pid={}) Up", new.pid)]);
    assert_eq!(world.ran.len(), 0);
}

#[test]
fn who_died_before_a_pause_and_was_brought_back_in_it_is_not_restarted() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::DoesNothing;
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!(world.view(1).doing, Doing::Appearing);
    world.order(Order::Pause(None));
    world.pass(Span::of_seconds(60));
    let new = world.start("/bin/svc");
    world.order(Order::Resume(None));
    world.pass(SECOND);
    assert_eq!((world.ran.len(), world.view(1).pid), (1, Some(new.pid)));
}

#[test]
fn entries_that_were_given_up_begin_anew_when_told_to() {
    for order in [Order::Resume(None), Order::Reload] {
        let (mut world, proc) = up("/bin/svc:/start.sh:86400:1:continue", "/bin/svc");
        world.default_script = Script::DoesNothing;
        world.kill(proc);
        world.pass(Span::of_seconds(60));
        assert_eq!(world.view(1).doing, Doing::GaveUp);
        world.default_script = Script::Restarts(1);
        assert_eq!(world.order(order), Answer::Done);
        world.pass(Span::of_seconds(20));
        let view = world.view(1);
        assert_eq!((view.status, view.retry_count, view.restart_count), (ProcStatus::Avail, 1, 2));
    }
}

#[test]
fn a_reload_keeps_what_did_not_change_wherever_it_stands_now() {
    let (a, b) = ("/bin/a:/s.sh:86400:3:exit", "/bin/b:/s.sh:86400:3:exit");
    let mut world = World::new(&format!("{a}\n{b}"));
    let (proc_a, proc_b) = (world.start("/bin/a"), world.start("/bin/b"));
    world.begin();
    world.pass(SECOND);
    world.kill(proc_a);
    world.pass(SECOND);
    let before = world.view(1);
    world.lines();
    world.rules = Ok(rules(&format!("/bin/c:/s.sh:86400:3:exit\n/bin/b:/s.sh:86400:9:exit\n{a}")));
    assert_eq!(world.order(Order::Reload), Answer::Done);
    world.pass(SECOND);
    let (c, b, a) = (world.view(1), world.view(2), world.view(3));
    assert_eq!((a.pid, a.retry_count, a.restart_count, a.id), (before.pid, 1, 1, before.id));
    assert_eq!((b.pid, b.retries, b.status), (Some(proc_b.pid), 9, ProcStatus::Avail));
    assert_eq!((c.restart_count, c.status), (1, ProcStatus::Avail));
    let lines = world.lines();
    assert!(lines.contains(&"Reloaded: 1 unchanged, 1 changed, 1 new, 0 removed".to_owned()), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("/bin/a") || line.contains("/bin/b")), "{lines:#?}");
    assert_eq!(world.watched.len(), 3);
    world.rules = Ok(rules("/bin/c:/s.sh:86400:3:exit"));
    world.order(Order::Reload);
    assert_eq!(world.watched.len(), 1);
}

#[test]
fn rules_that_cannot_be_read_change_nothing() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.lines();
    world.rules = Err("/p:3:1: what is this".to_owned());
    assert_eq!(world.order(Order::Reload), Answer::Refused("/p:3:1: what is this".to_owned()));
    assert_eq!(world.lines(), ["Reload fail, the old rules stay: /p:3:1: what is this"]);
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!(world.view(1).restart_count, 1);
    let mut other = rules(ONE);
    other.param.ipc_key.value = watcher_core::pfile::IpcKey::read(b"0x99").unwrap();
    world.rules = Ok(other);
    assert!(matches!(world.order(Order::Reload), Answer::Refused(why) if why.contains("IPCKEY")));
}

#[test]
fn a_reload_while_a_script_runs_does_not_start_a_second_one() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:exit", "/bin/svc");
    world.default_script = Script::Restarts(2_000);
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!(world.view(1).doing, Doing::Restarting);
    world.rules = Ok(rules("/bin/svc:/start.sh:86400:7:exit"));
    world.order(Order::Reload);
    assert_eq!(world.view(1).doing, Doing::Restarting);
    world.pass(Span::of_seconds(30));
    assert_eq!((world.ran.len(), world.view(1).status), (1, ProcStatus::Avail));
    assert_eq!(world.view(1).retries, 7);
}

#[test]
fn signals_and_orders_end_the_watch_and_leave_the_processes_alone() {
    let (mut world, proc) = up(ONE, "/usr/bin/java apache tomcat");
    world.lines();
    world.event(Event::Stop { signal: Signal::TERM });
    assert_eq!(world.lines(), ["SIGTERM Catch (15)!!", "Stop pcheck!!"]);
    assert_eq!(world.finish, Some(Finish::Asked));
    assert_eq!(world.processes[&proc].1, Life::Alive);
    let (mut world, _) = up(ONE, "/usr/bin/java apache tomcat");
    world.lines();
    assert_eq!(world.order(Order::Shutdown), Answer::Done);
    assert_eq!(world.lines(), ["Stop pcheck!!"]);
}

#[test]
fn values_can_be_set_and_last_until_the_reload() {
    let (mut world, proc) = up("/bin/svc:/s:86400:0:exit", "/bin/svc");
    assert!(matches!(world.order(Order::Pause(Some(number(7)))), Answer::Refused(why) if why.contains("only entry 1")));
    assert_eq!(world.order(Order::Set(Setting::Retries(Some(number(1)), 1))), Answer::Done);
    assert_eq!(world.order(Order::Set(Setting::Grace(None, Seconds(5)))), Answer::Done);
    assert!(matches!(world.order(Order::Dump), Answer::Refused(why) if why.contains("SHM_DUMP_FILE")));
    let interval = watcher_core::pfile::Interval::new(3).unwrap();
    assert_eq!(world.order(Order::Set(Setting::MonitorInterval(interval))), Answer::Done);
    assert_eq!((world.view(1).retries, world.view(1).grace, world.fleet.monitor_interval()), (1, 5, interval));
    world.kill(proc);
    world.pass(SECOND);
    assert_eq!((world.finish, world.view(1).restart_count), (None, 1));
    world.order(Order::Reload);
    assert_eq!((world.view(1).retries, world.fleet.monitor_interval().seconds()), (0, 10));
}
