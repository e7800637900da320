//! Where things come together that seldom do: reloads in the middle of something, looks that come late, crashes.

use watcher_core::{Action, Order, SavedEntry, Span, fleet::Doing};

use crate::{
    stories::{number, up},
    world::{SECOND, Script, World, rules},
};

const SVC: &str = "/bin/svc:/start.sh:86400:3:continue";

#[test]
fn what_was_given_up_and_brought_back_by_hand_is_not_restarted_by_a_reload() {
    for order in [Order::Reload, Order::Resume(None)] {
        let (mut world, proc) = up("/bin/svc:/start.sh:86400:1:continue", "/bin/svc");
        world.default_script = Script::DoesNothing;
        world.kill(proc);
        world.pass(Span::of_seconds(60));
        assert_eq!((world.view(1).doing, world.ran.len()), (Doing::GaveUp, 1));
        let by_hand = world.start("/bin/svc");
        world.pass(Span::of_seconds(60));
        world.order(order);
        world.pass(SECOND);
        assert_eq!((world.view(1).doing, world.view(1).pid), (Doing::Watching, Some(by_hand.pid)));
        assert_eq!(world.ran.len(), 1);
    }
}

#[test]
fn a_group_that_was_given_up_and_brought_back_by_hand_is_not_restarted_by_going_on_with_one_member() {
    let group = "/bin/a:/start.sh:86400:1:continue:grp_tag=g\n/bin/b:/start.sh:86400:1:continue:grp_tag=g";
    let mut world = World::new(group);
    let first = world.start("/bin/a");
    world.start("/bin/b");
    world.pass(SECOND);
    world.begin();
    world.default_script = Script::DoesNothing;
    world.kill(first);
    world.pass(Span::of_seconds(60));
    assert_eq!(world.view(1).doing, Doing::GaveUp);
    let ran = world.ran.len();
    world.start("/bin/a");
    world.start("/bin/b");
    world.order(Order::Resume(Some(number(2))));
    world.pass(SECOND);
    assert_eq!([world.view(1).doing, world.view(2).doing], [Doing::Watching; 2]);
    assert_eq!(world.ran.len(), ran);
}

#[test]
fn what_a_restart_changes_is_saved_before_its_script_can_run() {
    let (mut world, proc) = up(SVC, "/bin/svc");
    world.asked.clear();
    world.kill(proc);
    world.pass(Span::of_millis(1));
    let run = world.asked.iter().position(|action| matches!(action, Action::Run(_))).unwrap();
    let is_counted = |saved: &SavedEntry| saved.retry_count == 1 && saved.last_restart.is_some();
    let saved = world.asked.iter().position(|action| matches!(action, Action::Save(saved) if is_counted(saved)));
    assert!(saved.unwrap() < run, "killed in between, the next pcheck would run it again");
}
