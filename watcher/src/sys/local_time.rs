//! The wall clock as people of this place read it. Names are English whatever the locale is: log monitors read them.

use std::fmt::Write as _;

use watcher_core::Wall;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// As lines of syslog begin: `Oct  2 10:40:48`.
#[must_use]
pub fn syslog_stamp(wall: Wall) -> String {
    let Broken { month, day, hour, minute, second, .. } = broken_down(wall);
    format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}")
}

/// As `ctime` writes it: `Wed Oct 12 10:40:48 2011`.
#[must_use]
pub fn ctime(wall: Wall) -> String {
    let mut text = broken_down(wall).week_day.to_owned();
    // Writing into a string cannot fail.
    let _written = write!(text, " {} {}", syslog_stamp(wall), broken_down(wall).year);
    text
}

struct Broken {
    week_day: &'static str,
    month: &'static str,
    day: i32,
    hour: i32,
    minute: i32,
    second: i32,
    year: i64,
}

fn broken_down(wall: Wall) -> Broken {
    let seconds = libc::time_t::try_from(wall.unix_ns / 1_000_000_000).unwrap_or(0);
    // SAFETY: every bit pattern is a valid `tm`, and the function writes nothing else. It reads the environment, which
    // nobody changes: this program never sets a variable of its own.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut time);
        time
    };
    let name = |names: &[&'static str], index: i32| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("???")
    };
    Broken {
        week_day: name(&DAYS, time.tm_wday),
        month: name(&MONTHS, time.tm_mon),
        day: time.tm_mday,
        hour: time.tm_hour,
        minute: time.tm_min,
        second: time.tm_sec,
        year: i64::from(time.tm_year) + 1900,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Run by the test below, in processes of their own: the zone is that of the process.
    #[test]
    #[ignore = "a part of the next test"]
    fn shows_its_zone() {
        let walls = [1_318_383_648, 1_317_516_048, 0].map(|seconds: u64| Wall { unix_ns: seconds * 1_000_000_000 });
        let shown = walls.map(|wall| format!("{} | {}", ctime(wall), syslog_stamp(wall)));
        std::fs::write(std::env::var_os("SHOWN").unwrap(), shown.join("\n")).unwrap();
    }

    #[test]
    fn times_are_those_of_the_zone_in_english() {
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().join("shown");
        let in_zone = |zone: &str| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "sys::local_time::tests::shows_its_zone", "--ignored"]);
            child.env("TZ", zone).env("LC_ALL", "ja_JP.UTF-8").env("SHOWN", &shown);
            assert!(child.stdin(std::process::Stdio::null()).output().unwrap().status.success());
            std::fs::read_to_string(&shown).unwrap()
        };
        let expected = "Wed Oct 12 10:40:48 2011 | Oct 12 10:40:48\nSun Oct  2 09:40:48 2011 | Oct  2 09:40:48\n\
                        Thu Jan  1 09:00:00 1970 | Jan  1 09:00:00";
        assert_eq!(in_zone("JST-9"), expected);
        assert!(in_zone("UTC0").starts_with("Wed Oct 12 01:40:48 2011 | Oct 12 01:40:48\n"));
    }
}
