//! Stories in which much time passes and little happens: many of them are told at the same time.

use std::thread;

use crate::host::Tier;

/// A name, where it is told, and the story.
pub type Story<'a> = (&'a str, &'static [Tier], &'a (dyn Fn(Tier) + Sync));

/// Tells stories, each on its tiers. Which ones have failed is said at the end; why, by each.
pub fn at_the_same_time(stories: &[Story<'_>]) {
    thread::scope(|scope| {
        let wanted = |tiers: &'static [Tier]| tiers.iter().filter(|tier| tier.is_wanted());
        let each = stories.iter().flat_map(|(name, tiers, story)| wanted(tiers).map(move |tier| (name, *tier, story)));
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
