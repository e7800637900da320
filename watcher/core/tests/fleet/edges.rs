//! Where things come together that seldom do: reloads in the middle of something, looks that come late, crashes.

use watcher_core::{Action, Mono, Order, SavedEntry, Span, fleet::Doing};

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
    let is_counted = |saved: &SavedEntry| saved.retry_count == 1 && saved.rare.last_restart.is_some();
    let saved = world.asked.iter().position(|action| matches!(action, Action::Save(saved) if is_counted(saved)));
    assert!(saved.unwrap() < run, "killed in between, the next pcheck would run it again");
}

#[test]
fn an_entry_that_was_removed_and_comes_back_while_its_script_runs_waits_for_that() {
    let (mut world, proc) = up(&format!("{SVC}\n/bin/other:/other.sh:86400:3:continue"), "/bin/svc");
    world.start("/bin/other");
    world.pass(Span::of_seconds(30));
    world.scripts.insert(1, Script::Restarts(60_000));
    world.kill(proc);
    world.pass(SECOND);
    let both = world.rules.clone();
    world.rules = Ok(rules("/bin/other:/other.sh:86400:3:continue"));
    world.order(Order::Reload);
    world.pass(SECOND);
    world.rules = both;
    world.order(Order::Reload);
    world.pass(Span::of_seconds(20));
    let of_svc = |world: &World| world.ran.iter().filter(|(_, order)| order.script.as_slice() == b"/start.sh").count();
    assert_eq!(of_svc(&world), 1, "at most one script of an entry runs");
    assert_eq!(world.view(1).doing, Doing::Restarting);
    world.pass(Span::of_seconds(60));
    assert_eq!((of_svc(&world), world.view(1).doing), (1, Doing::Watching));
}

#[test]
fn entries_that_change_at_each_reload_keep_the_pace() {
    let (mut world, proc) = up(SVC, "/bin/svc");
    world.default_script = Script::DoesNothing;
    world.kill(proc);
    for retries in 4..24 {
        world.pass(SECOND);
        world.rules = Ok(rules(&format!("/bin/svc:/start.sh:86400:{retries}:continue")));
        world.order(Order::Reload);
    }
    let starts: Vec<_> = world.ran.iter().map(|(at, _)| *at).collect();
    assert!(starts.windows(2).all(|pair| pair[1].since(pair[0]) >= Span::of_seconds(10)), "{starts:?}");
}

#[test]
fn a_changed_entry_waits_like_the_old_one_until_the_dead_have_gone() {
    let (mut world, proc) = up(SVC, "/bin/svc");
    world.teardown = Span::of_seconds(20);
    world.kill(proc);
    world.pass(SECOND);
    world.rules = Ok(rules("/bin/svc:/start.sh:86400:4:continue"));
    world.order(Order::Reload);
    world.pass(Span::of_seconds(18));
    assert_eq!(world.ran.len(), 0, "memory, files and ports are still held");
    world.pass(Span::of_seconds(2));
    assert_eq!((world.ran.len(), world.view(1).doing), (1, Doing::Watching));
}

#[test]
fn what_came_after_a_slow_look_had_begun_is_not_judged_by_it() {
    let (mut world, proc) = up(SVC, "/bin/svc");
    world.look_takes = Span::of_millis(1_500);
    world.default_script = Script::RestartsLate(9_500);
    world.kill(proc);
    world.pass(Span::of_seconds(60));
    assert_eq!((world.ran.len(), world.view(1).doing), (1, Doing::Watching));
}

#[test]
fn a_look_that_was_asked_for_by_something_else_counts_no_processes() {
    let (mut world, proc) = up("/bin/svc:/start.sh:86400:3:continue:min_proc_count=2", "/bin/svc");
    world.look_takes = Span::of_millis(300);
    world.default_script = Script::RestartsLate(50);
    world.kill(proc);
    world.pass(Span::of_millis(600));
    // A program of the same name: it makes pcheck look again, when it has found the process already.
    world.start("/opt/svc");
    world.pass(Span::of_seconds(10));
    assert_eq!((world.ran.len(), world.view(1).doing), (1, Doing::Watching), "the others have an interval to come");
    world.pass(Span::of_seconds(3));
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn a_wrong_number_before_a_pause_confirms_none_after_it() {
    let (mut world, _) = up("/bin/svc:/start.sh:86400:3:continue:min_proc_count=2", "/bin/svc");
    world.pass(Span::of_millis(10_500));
    world.order(Order::Pause(None));
    world.pass(Span::of_seconds(60));
    world.order(Order::Resume(None));
    world.pass(Span::of_millis(10_500));
    assert_eq!(world.ran.len(), 0);
    world.pass(SECOND);
    assert_eq!(world.ran.len(), 1);
}

#[test]
fn times_of_the_future_are_not_waited_for() {
    let (mut world, proc) = up(SVC, "/bin/svc");
    world.kill(proc);
    world.pass(SECOND);
    let mut saved: Vec<_> = world.saved.values().cloned().collect();
    for saved in &mut saved {
        let never = Some(Mono(u64::MAX));
        let rare = &mut *saved.rare;
        (rare.died_at, rare.window_opened, rare.last_restart) = (never, never, never);
    }
    let mut next = World::with_saved(SVC, &saved);
    next.begin();
    next.pass(Span::of_seconds(11));
    assert_eq!((next.ran.len(), next.view(1).doing), (1, Doing::Watching));
    // What it takes for its script, and waits for, gets no more time than any other.
    let mut next = World::with_saved(SVC, &[]);
    let script = next.start("/bin/other");
    saved[0].rare.script = Some((script, Mono(u64::MAX)));
    next = World::with_saved(SVC, &saved);
    next.start("/bin/other");
    next.begin();
    next.pass(Span::of_seconds(330));
    assert_eq!(next.view(1).doing, Doing::Watching);
}

#[test]
fn a_member_that_was_dying_already_is_waited_for_before_its_group_is_started() {
    let group = "/bin/a:/start.sh:86400:3:continue:grp_tag=g\n/bin/b:/start.sh:86400:3:continue:grp_tag=g";
    let mut world = World::new(group);
    let (first, second) = (world.start("/bin/a"), world.start("/bin/b"));
    world.pass(SECOND);
    world.begin();
    world.kill(first);
    world.teardown = Span::of_seconds(8);
    world.kill(second);
    world.pass(Span::of_seconds(7));
    assert_eq!(world.ran.len(), 0, "what it holds is not free");
    world.pass(Span::of_seconds(2));
    assert_eq!([world.view(1).doing, world.view(2).doing], [Doing::Watching; 2]);
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn the_end_of_all_retries_is_told_once_whoever_tells_of_the_death() {
    for tells_deaths in [true, false] {
        let mut world = World::new("/bin/svc:/start.sh:86400:0:exit");
        world.tells_deaths = tells_deaths;
        let proc = world.start("/bin/svc");
        world.begin();
        world.lines();
        world.kill(proc);
        world.pass(SECOND);
        let over = world.lines().into_iter().filter(|line| line.starts_with('(')).collect::<Vec<_>>();
        assert_eq!(
            over,
            ["(/bin/svc) RETRY_OVER:EXIT", "(/bin/svc) FATAL"],
            "the kernel tells of deaths: {tells_deaths}"
        );
    }
}
