//! What is learned of late: by polling, or because nobody was there to learn it.

use crate::world::{SECOND, Script, World};
use watcher_core::Span;

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
