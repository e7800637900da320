//! The commands of padmin: from words to what is meant.

use watcher_core::{
    Order, Setting,
    pfile::{EntryNumber, Interval, Seconds},
};

use crate::control;

/// Each command as it is written, and what it does.
pub(super) const COMMANDS: [(&str, &str); 11] = [
    ("show pent [N]", "how the entries stand, or entry N alone"),
    ("show param", "the parameters in force"),
    ("stop [N]", "pause watching, of all entries or of entry N"),
    ("start [N]", "go on watching; entries that were given up begin anew"),
    ("reload", "read the pfile again; entries that did not change keep their state"),
    ("set [N] retry COUNT", "another retry count, until the next reload"),
    ("set [N] grace SECONDS", "another grace, until the next reload"),
    ("set interval SECONDS", "another MONITOR_INTERVAL, until the next reload"),
    ("dump", "write SHM_DUMP_FILE now"),
    ("shutdown", "end pcheck; the processes that it watches live on"),
    ("list", "the pchecks that run, as -l shows them"),
];

/// What other programs call such commands.
const ELSEWHERE: [(&str, &str); 10] = [
    ("continue", "start"),
    ("exit", "shutdown"),
    ("list entries", "show pent"),
    ("ls", "list"),
    ("pause", "stop"),
    ("ps", "list"),
    ("quit", "shutdown"),
    ("resume", "start"),
    ("show", "show pent"),
    ("status", "show pent"),
];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The pchecks that run.
    List,
    /// Something of one pcheck.
    Of(control::Command),
}

/// A command, and its words in the one form that logs show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) asked: Asked,
    pub(super) words: String,
}

/// Reads a command, however it is split into words.
pub(super) fn read(words: &[String]) -> Result<Typed, String> {
    let words: Vec<_> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    let joined = words.join(" ");
    let show = |entry| Asked::Of(control::Command::ShowEntries { entry });
    let order = |order| Asked::Of(control::Command::Order(order));
    let retries = |entry, count: &str| Ok(order(Order::Set(Setting::Retries(entry, count_of(count)?))));
    let grace = |entry, seconds: &str| Ok(order(Order::Set(Setting::Grace(entry, Seconds(count_of(seconds)?)))));
    let asked = match words.as_slice() {
        ["show", "pent"] => Ok(show(None)),
        ["show", "pent", number] => entry(number).map(|number| show(Some(number))),
        ["show", "param"] => Ok(Asked::Of(control::Command::ShowParam)),
        ["stop"] => Ok(order(Order::Pause(None))),
        ["stop", number] => entry(number).map(|number| order(Order::Pause(Some(number)))),
        ["start"] => Ok(order(Order::Resume(None))),
        ["start", number] => entry(number).map(|number| order(Order::Resume(Some(number)))),
        ["reload"] => Ok(order(Order::Reload)),
        ["set", "retry", count] => retries(None, count),
        ["set", number, "retry", count] => entry(number).and_then(|number| retries(Some(number), count)),
        ["set", "grace", seconds] => grace(None, seconds),
        ["set", number, "grace", seconds] => entry(number).and_then(|number| grace(Some(number), seconds)),
        ["set", "interval", seconds] => {
            interval(seconds).map(|interval| order(Order::Set(Setting::MonitorInterval(interval))))
        }
        ["dump"] => Ok(order(Order::Dump)),
        ["shutdown"] => Ok(order(Order::Shutdown)),
        ["list"] => Ok(Asked::List),
        words => return Err(not_a_command(words, &joined)),
    };
    let asked = asked.map_err(|why| format!("`{joined}`: {why}"))?;
    Ok(Typed { asked, words: joined })
}

fn entry(text: &str) -> Result<EntryNumber, String> {
    let number: usize = text
        .parse()
        .map_err(|_error| format!("`{text}` is not the number of an entry, such as `show pent` shows it"))?;
    let index = number.checked_sub(1).ok_or("entries are counted from 1")?;
    Ok(EntryNumber::of_index(index))
}

fn count_of(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_error| format!("`{text}` is not a number from 0 to {}", u32::MAX))
}

fn interval(text: &str) -> Result<Interval, String> {
    let interval = text.parse().ok().and_then(Interval::new);
    interval.ok_or_else(|| format!("`{text}` is not a number of seconds from 1 to {}", Interval::LONGEST))
}

/// The words of a command that are always the same.
fn fixed(command: &str) -> Vec<&str> {
    command.split(' ').filter(|word| word.chars().all(|letter| letter.is_ascii_lowercase())).collect()
}

fn not_a_command(words: &[&str], joined: &str) -> String {
    let all = || COMMANDS.iter().map(|(command, _)| format!("`{command}`")).collect::<Vec<_>>().join(", ");
    if words.is_empty() {
        return format!("no command is given; commands are {}", all());
    }
    // It begins like a command and goes on with something else.
    let begins = |command: &&str| words.starts_with(&fixed(command));
    if let Some(command) = COMMANDS.iter().map(|(command, _)| *command).find(begins) {
        return format!("`{joined}` is not understood: the command is `{command}`, and nothing else may follow");
    }
    let hint =
        nearest(words, joined).map_or_else(|| ". ".to_owned(), |command| format!("; did you mean `{command}`? "));
    format!("`{joined}` is no command{hint}Commands are {}", all())
}

fn nearest(words: &[&str], joined: &str) -> Option<&'static str> {
    const LEAST_ALIKE: f64 = 0.6;
    if let Some((_, meant)) = ELSEWHERE.iter().find(|(other, _)| *other == joined) {
        return Some(meant);
    }
    let alike = |command: &'static str| {
        let fixed = fixed(command);
        // Numbers and words too many say nothing about which command is meant.
        let same_length = words.iter().filter(|word| word.parse::<u64>().is_err()).take(fixed.len());
        let typed = same_length.copied().collect::<Vec<_>>().join(" ");
        (strsim::normalized_damerau_levenshtein(&typed, &fixed.join(" ")), command)
    };
    let all = COMMANDS.iter().map(|(command, _)| alike(command));
    let best = all.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= LEAST_ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Typed, String> {
        read(&[line.to_owned()])
    }

    #[test]
    fn words_are_joined_however_they_were_quoted() {
        let one = of("show pent");
        assert_eq!(one, of("show  pent "));
        assert_eq!(one, read(&["show".to_owned(), "pent".to_owned()]));
        assert_eq!(one.unwrap().words, "show pent");
    }

    #[test]
    fn every_command_of_the_help_is_understood() {
        for (command, _) in COMMANDS {
            let with = command.replace("[N]", "2").replace("COUNT", "5").replace("SECONDS", "60");
            assert_eq!(of(&with).map(|typed| typed.words), Ok(with.clone()));
            let without =
                command.replace("[N] ", "").replace(" [N]", "").replace("COUNT", "5").replace("SECONDS", "60");
            assert!(of(&without).is_ok(), "{without}");
        }
    }

    #[test]
    fn orders_are_what_they_say() {
        let second = Some(EntryNumber::of_index(1));
        for (line, order) in [
            ("stop", Order::Pause(None)),
            ("stop 2", Order::Pause(second)),
            ("start 2", Order::Resume(second)),
            ("reload", Order::Reload),
            ("set 2 retry 0", Order::Set(Setting::Retries(second, 0))),
            ("set grace 60", Order::Set(Setting::Grace(None, Seconds(60)))),
            ("set interval 1", Order::Set(Setting::MonitorInterval(Interval::new(1).unwrap()))),
            ("shutdown", Order::Shutdown),
        ] {
            assert_eq!(of(line).unwrap().asked, Asked::Of(control::Command::Order(order)), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_the_nearest_command_and_all_of_them() {
        let why = |line: &str| of(line).unwrap_err();
        for (line, nearest) in [
            ("show pnet", "show pent [N]"),
            ("shwo param", "show param"),
            ("stpo", "stop [N]"),
            ("relaod", "reload"),
            ("shutdwon now", "shutdown"),
            ("set 1 retries 5", "set [N] retry COUNT"),
            ("status", "show pent"),
            ("resume", "start"),
        ] {
            let why = why(line);
            assert!(why.contains(&format!("did you mean `{nearest}`?")), "{line}: {why}");
            assert!(why.contains("`set interval SECONDS`"), "all are named: {why}");
        }
        assert!(!why("xyzzy").contains("did you mean"));
        assert!(why("").contains("no command is given"));
        assert_eq!(
            why("stop 1 2>&1"),
            "`stop 1 2>&1` is not understood: the command is `stop [N]`, and nothing else may follow"
        );
        assert!(why("show pent 2>&1").contains("`2>&1` is not the number of an entry"));
        assert!(why("show pent 0").contains("counted from 1"));
        assert!(why("set interval 0").contains("1 to 86400"));
        assert!(why("set 1 retry -1").contains("not a number"));
        assert!(why("dump now").contains("nothing else may follow"));
    }
}
