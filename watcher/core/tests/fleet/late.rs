//! What is learned of late: by polling, or because nobody was there to learn it.

use crate::world::{SECOND, Script, World};
use watcher_core::{Event, Span};

#[test]
fn a_death_that_is_learned_of_late_is_looked_into_before_anything_is_started() {
    let mut world = World::new("/bin/svc:/start.sh:86400:3:exit");
    let first = world.start("/bin/svc");
    world.begin();
    world.pass(SECOND);
    world.lines();
    // The watcher does not run, and somebody else brings it back.
    world.kill(first);
    let second = world.start("/bin/svc");
    world.sleep_through(Span::of_seconds(3_600));
    world.pass(SECOND);
    let story = [
        format!("Process [/bin/svc,pid={}] Down", first.pid),
        format!("Process [/bin/svc,pid={}] killed by SIGKILL", first.pid),
        format!("(/bin/svc ,pid={}) Up", second.pid),
    ];
    assert_eq!(world.lines(), story);
    assert!(world.ran.is_empty());
    // When nobody did, it is restarted as ever.
    world.kill(second);
    world.sleep_through(Span::of_seconds(3_600));
    world.pass(SECOND);
    assert_eq!((world.ran.len(), world.view(1).restart_count), (1, 1));
}

#[test]
fn that_a_script_has_ended_what_was_too_much_is_no_death_even_if_it_is_seen_after_the_script() {
    let mut world = World::new("/bin/svc:/start.sh:86400:3:exit:max_proc_count=1:restart_waittime=2");
    world.default_script = Script::Replaces(5);
    world.tells_deaths = false;
    world.teardown = SECOND;
    world.start("/bin/svc");
    world.start("/bin/svc");
    world.begin();
    world.lines();
    world.pass(Span::of_seconds(60));
    let pid = world.view(1).pid.unwrap();
    let story = [
        "Process [/bin/svc] has 2 processes, wanted are 1 to 1".to_owned(),
        "Try to restart (/bin/svc)".to_owned(),
        format!("(/bin/svc ,pid={pid}) Up"),
    ];
    assert_eq!(world.lines(), story);
}

#[test]
fn who_may_have_come_untold_is_looked_for_at_once() {
    let mut world = World::new("MONITOR_INTERVAL 60\n/bin/svc:/start.sh:86400:3:exit");
    world.default_script = Script::DoesNothing;
    let first = world.start("/bin/svc");
    world.begin();
    world.kill(first);
    // The pauses between looks double: from now on the next is 11 s away.
    world.pass(Span::of_seconds(20));
    world.lines();
    let expected = std::mem::take(&mut world.expected);
    assert_eq!(expected.len(), 1, "it is waited for");
    let second = world.start("/bin/svc");
    world.expected = expected;
    world.pass(Span::of_seconds(5));
    assert_eq!(world.lines(), [""; 0], "nothing has told of it");
    world.event(Event::StartsUntold);
    world.pass(Span(0));
    assert_eq!(world.lines(), [format!("(/bin/svc ,pid={}) Up", second.pid)]);
    // When nobody is waited for, nothing follows.
    world.asked.clear();
    world.event(Event::StartsUntold);
    world.pass(Span(0));
    assert!(world.asked.is_empty(), "{:?}", world.asked);
}
