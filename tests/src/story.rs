//! Stories in which much time passes and little happens: many of them are told at the same time.

use std::thread;

use crate::host::Tier;

/// A name, where it is told, and the story.
pub type Story<'a> = (&'a str, &'a [Tier], &'a (dyn Fn(Tier) + Sync));

/// Tells stories, each on those of its tiers that are wanted. Which ones have failed is said at the end; why, by each.
pub fn at_the_same_time(stories: &[Story<'_>]) {
    thread::scope(|scope| {
        let each = stories.iter().flat_map(|(name, tiers, story)| tiers.iter().map(move |tier| (name, *tier, story)));
        let each = each.filter(|(_, tier, _)| tier.is_wanted());
        let told: Vec<_> = each
            .map(|(name, tier, story)| {
                let name = format!("{name}, tier {}", tier.name());
                let thread = thread::Builder::new().name(name.clone());
                (name, thread.spawn_scoped(scope, move || story(tier)).expect("a thread"))
            })
            .collect();
        let failed: Vec<_> =
            told.into_iter().filter_map(|(name, story)| story.join().is_err().then_some(name)).collect();
        assert!(failed.is_empty(), "failed: {failed:#?}");
    });
}
