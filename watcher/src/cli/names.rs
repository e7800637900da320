//! The names by which this program is called: as one of the original's commands it behaves like that one.

use std::{ffi::OsString, path::Path};

use super::exit;

/// The original's commands, and the sub-command that each is.
const STAND_INS: [(&str, &str); 4] =
    [("clp_httpmon", "httpmon"), ("clp_smtpmon", "smtpmon"), ("padmin", "padmin"), ("pcheck", "pcheck")];
/// Those whose codes for a wrong command line are their own.
const OWN_CODES: [&str; 3] = ["padmin", "pcheck", "reboot-guard"];

/// The command line, with the sub-command that the program's own name stands for.
pub(super) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given = given.into_iter();
    let own = given.next().unwrap_or_default();
    let called = Path::new(&own).file_name().unwrap_or_default();
    let stands_for = STAND_INS.into_iter().find(|(name, _)| called == *name).map(|(_, sub)| OsString::from(sub));
    std::iter::once(own).chain(stands_for).chain(given).collect()
}

/// With which code a command line ends that is not understood: the original's commands have codes of their own.
pub(super) fn usage_code(arguments: &[OsString]) -> u8 {
    let is_option = |word: &&OsString| word.as_encoded_bytes().starts_with(b"-");
    let command = arguments.iter().skip(1).find(|word| !is_option(word));
    match command {
        Some(command) if OWN_CODES.into_iter().any(|name| command == name) => exit::STAND_IN_USAGE,
        Some(command) if command == "status" => exit::status::UNKNOWN,
        Some(_) | None => exit::USAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Vec<String> {
        let words = words.split(' ').map(OsString::from);
        arguments(words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn the_name_stands_for_a_sub_command() {
        assert_eq!(of("/opt/HA/PS/bin/padmin -l"), ["/opt/HA/PS/bin/padmin", "padmin", "-l"]);
        assert_eq!(of("pcheck -f a"), ["pcheck", "pcheck", "-f", "a"]);
        assert_eq!(of("/usr/sbin/clp_httpmon web"), ["/usr/sbin/clp_httpmon", "httpmon", "web"]);
        assert_eq!(of("clp_smtpmon"), ["clp_smtpmon", "smtpmon"]);
        assert_eq!(of("watcher padmin -l"), ["watcher", "padmin", "-l"]);
        assert_eq!(of("/usr/bin/watcher-1.2 doctor"), ["/usr/bin/watcher-1.2", "doctor"]);
        assert_eq!(arguments([]), [""]);
    }

    #[test]
    fn the_originals_commands_have_their_own_code_for_a_wrong_command_line() {
        let code = |words: &str| usage_code(&arguments(words.split(' ').map(OsString::from)));
        assert_eq!(code("padmin --nonsense"), 1);
        assert_eq!(code("watcher --verbose padmin -x"), 1);
        assert_eq!(code("watcher reboot-guard --nonsense"), 1, "2 is that of its pcheck");
        assert_eq!(code("watcher check padmin"), 2);
        assert_eq!(code("watcher status --nonsense"), 3, "2 would be an alarm");
        assert_eq!(code("watcher"), 2);
    }
}
