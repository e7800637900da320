//! Words of a command line that may stand in `include_strings`, and how much each of them tells.

use core::net::IpAddr;

/// How much a word tells of what a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Telling {
    /// An address, a number, a switch, or too short: it may well stand elsewhere, too, or change.
    Weak,
    /// An option.
    Option,
    /// Any other word.
    Plain,
    /// A path, a file, a module, or the value of a property.
    Name,
}

/// A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// As it stands there.
    pub(super) text: &'a [u8],
    /// How much it tells.
    pub(super) telling: Telling,
    /// Whether it stands after `-m`.
    module: bool,
}

const SCRIPTS: [&[u8]; 6] = [b".jar", b".py", b".pl", b".rb", b".js", b".sh"];
const SETTINGS: [&[u8]; 10] =
    [b".conf", b".cfg", b".cnf", b".ini", b".yml", b".yaml", b".json", b".xml", b".toml", b".properties"];

/// What may stand in `include_strings`, without the program itself.
pub(super) fn of(command_line: &[u8]) -> Vec<Word<'_>> {
    const SHORTEST: usize = 2;
    const ENOUGH: usize = 500;
    let arguments = command_line.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
    let words = arguments.split(|byte| matches!(byte, b' ' | b':' | b'&') || byte.is_ascii_control());
    let before = std::iter::once(b"".as_slice()).chain(words.clone());
    let words = before.zip(words).filter(|(_, word)| word.len() >= SHORTEST).take(ENOUGH);
    words
        .map(|(before, text)| {
            let telling = telling(text);
            let module = before == b"-m" && telling == Telling::Plain;
            Word { text, telling: if module { Telling::Name } else { telling }, module }
        })
        .collect()
}

fn telling(word: &[u8]) -> Telling {
    const SHORTEST: usize = 4;
    let text = std::str::from_utf8(word).unwrap_or_default();
    let is_address = text.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    let has_letters = word.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    let is_hex = text.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if word.len() < SHORTEST || is_address || !has_letters || is_hex || word.ends_with(b";") {
        return Telling::Weak;
    }
    let is_file = SCRIPTS.iter().chain(&SETTINGS).any(|ending| word.ends_with(ending));
    let is_property = word.starts_with(b"-D") && word.contains(&b'=');
    if word.contains(&b'/') || is_file || is_property {
        Telling::Name
    } else if word.starts_with(b"-") {
        Telling::Option
    } else {
        Telling::Plain
    }
}

/// What a title such as `nginx: master process nginx -c /path` says first, up to two plain words: `master process`.
pub(super) fn role(command_line: &[u8]) -> Option<&[u8]> {
    const WORDS: usize = 2;
    const SHORTEST: usize = 4;
    let (_, said) = command_line.split_at_checked(memchr::memmem::find(command_line, b": ")? + 2)?;
    let name = command_line.strip_suffix(said)?;
    // The first word alone is a name.
    if name.contains(&b'/') || name.get(..name.len() - 1).is_none_or(|name| name.contains(&b' ')) {
        return None;
    }
    let plain = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_lowercase);
    let words: Vec<_> = said.split(|byte| *byte == b' ').take_while(plain).take(WORDS).collect();
    let length = words.iter().map(|word| word.len() + 1).sum::<usize>().checked_sub(1)?;
    said.get(..length).filter(|role| role.len() >= SHORTEST)
}

/// What an interpreter runs: a module, a file, or else something with a dot in it, such as a class.
pub(super) fn most_telling<'a>(words: &[Word<'a>]) -> Option<&'a [u8]> {
    let first_of = |wanted: &dyn Fn(&Word<'a>) -> bool| words.iter().find(|word| wanted(word));
    let bare = |word: &Word<'_>| word.telling > Telling::Option && !word.text.starts_with(b"-");
    let is_script = |word: &Word<'_>| bare(word) && SCRIPTS.iter().any(|ending| word.text.ends_with(ending));
    let has_dot = |word: &&Word<'_>| bare(word) && word.text.contains(&b'.');
    let found = first_of(&|word| word.module || is_script(word)).or_else(|| words.iter().rfind(has_dot));
    let any =
        || first_of(&|word| !word.text.starts_with(b"-")).or_else(|| first_of(&|word| word.telling > Telling::Weak));
    Some(found.or_else(|| first_of(&bare)).or_else(any)?.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_more_or_less() {
        for (word, expected) in [
            ("127.0.0.1", Telling::Weak),
            ("10.0.0.0/8", Telling::Weak),
            ("8000", Telling::Weak),
            ("600.5", Telling::Weak),
            ("0xbeef", Telling::Weak),
            ("off;", Telling::Weak),
            ("-Xm", Telling::Weak),
            ("web", Telling::Weak),
            ("-Xmx512m", Telling::Option),
            ("--verbose", Telling::Option),
            ("daemon", Telling::Plain),
            ("org.example.Main", Telling::Plain),
            ("/srv/a", Telling::Name),
            ("app.jar", Telling::Name),
            ("my.cnf", Telling::Name),
            ("--config=/etc/a.toml", Telling::Name),
            ("-Dcatalina.base=one", Telling::Name),
        ] {
            assert_eq!(telling(word.as_bytes()), expected, "{word}");
        }
        let words = of(b"/usr/bin/python3 -m worker queue");
        assert_eq!(
            words.iter().map(|word| word.telling).collect::<Vec<_>>(),
            [Telling::Weak, Telling::Name, Telling::Plain]
        );
    }

    #[test]
    fn a_title_says_what_its_process_does() {
        for (line, expected) in [
            ("nginx: master process nginx -c /path", Some("master process")),
            ("nginx: worker process", Some("worker process")),
            ("gunicorn: master [app]", Some("master")),
            ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", None),
            ("/usr/bin/app: master process", None),
            ("echo nginx: master process", None),
            ("a: b", None),
            ("nginx: ", None),
            ("", None),
        ] {
            assert_eq!(role(line.as_bytes()), expected.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn an_interpreter_runs_something() {
        for (line, expected) in [
            ("python3 -m http.server 8000 --bind 127.0.0.1", Some("http.server")),
            ("python3 -u /srv/app.py --bind 127.0.0.1", Some("/srv/app.py")),
            ("java -Xmx1g -cp /opt/lib org.example.Main start", Some("org.example.Main")),
            ("java -cp /opt/a.jar org.example.Main 10.0.0.1", Some("/opt/a.jar")),
            ("ruby server 127.0.0.1", Some("server")),
            ("uwsgi 8000", Some("8000")),
            ("node --inspect", Some("--inspect")),
            ("bash -i", None),
            ("java", None),
        ] {
            assert_eq!(most_telling(&of(line.as_bytes())), expected.map(str::as_bytes), "{line}");
        }
    }
}
