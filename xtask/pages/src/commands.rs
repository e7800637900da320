//! The command line as clap knows it, and the monitors' options, which are read by hand, as clap would know them.

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, Command};

/// Commands whose options only their help tells of.
const BY_HAND: [&str; 2] = ["httpmon", "smtpmon"];

/// `watcher` with all that it can be told.
pub(crate) fn whole() -> anyhow::Result<Command> {
    let mut whole = watcher::cli::command().disable_help_subcommand(true);
    for name in BY_HAND {
        let given = whole.find_subcommand(name).with_context(|| format!("there is no command {name}"))?;
        let read = of_help(given)?;
        whole = whole.mut_subcommand(name, |_| read);
    }
    whole.build();
    Ok(whole)
}

/// The name that a command goes by: that of a program, where it is one of the original's.
pub(crate) fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// A command with the options that its help names.
fn of_help(given: &Command) -> anyhow::Result<Command> {
    // clap wants names that last; this program does not last long.
    let text: &'static str = given.clone().render_help().to_string().leak();
    let parts: Vec<_> = text.trim_end().split("\n\n").collect();
    let [about, more, usage, identifier, options] = parts.as_slice() else {
        bail!("the help of {} has other parts than it had: {parts:?}", given.get_name())
    };
    let usage = usage.strip_prefix("Usage: ").context("the usage begins with its name")?;
    let options = options.strip_prefix("Options:\n").context("the options begin with their name")?;
    let display_name: &'static str = name(given).to_owned().leak();
    let sub_name: &'static str = given.get_name().to_owned().leak();
    let own_name = |line: &&str| line.starts_with(display_name);
    let usage: Vec<_> = usage.lines().map(str::trim).filter(own_name).collect();
    let read = Command::new(sub_name)
        .display_name(display_name)
        .about(*about)
        .long_about(format!("{about}\n\n{}", more.replace('\n', " ")))
        .override_usage(usage.join("\n"))
        .disable_help_flag(true)
        .disable_version_flag(true);
    Ok(read.args(rows(identifier).into_iter().chain(rows(options)).filter_map(argument)))
}

/// What stands in the left column, and what in the right one.
fn rows(block: &'static str) -> Vec<(&'static str, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for line in block.lines() {
        let begins = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        match (begins.and_then(|rest| rest.split_once("  ")), rows.last_mut()) {
            (Some((left, right)), _) => rows.push((left, right.trim().to_owned())),
            (None, Some((_, right))) => {
                right.push(' ');
                right.push_str(line.trim());
            }
            (None, None) => {}
        }
    }
    rows
}

/// `-s SERVER`, `--stop [WAIT]`, `--pause` or `ID`.
fn argument((head, help): (&'static str, String)) -> Option<Arg> {
    let (name, value) = head.split_once(' ').map_or((head, None), |(name, value)| (name, Some(value)));
    let short = name.strip_prefix('-').and_then(|rest| rest.chars().next());
    let arg = match (name.strip_prefix("--"), short) {
        (Some(long), _) => Arg::new(long).long(long),
        (None, Some(short)) => Arg::new(name).short(short),
        (None, None) => return Some(Arg::new(name).value_name(name).required(true).help(help)),
    };
    let arg = match value {
        None => arg.action(ArgAction::SetTrue),
        Some(value) if value.starts_with('[') => arg.value_name(value.trim_matches(['[', ']'])).num_args(0..=1),
        Some(value) => arg.value_name(value),
    };
    Some(arg.help(help))
}
