//! `#@ key=value …` lines.

use super::{Check, Extension, Field, Owner, Place, Placed, Problem, Reader, field::nearest};
use crate::pfile::{BelongsTo, Bytes, Method, Seconds, StatusRange, bytes::quoted};

/// Whether a comment, without its `#`, is meant for us. Other comments that begin with `#@` (the marks of SCCS, for
/// one: `#@(#)`, or `#@author=…`) were there first.
pub(super) fn is_extension(comment: &[u8]) -> bool {
    matches!(comment, [b'@', b' ' | b'\t', ..])
}

/// The key of an extension that a comment, without its `#`, would be if it had a blank.
pub(super) fn glued(comment: &[u8]) -> Option<&'static str> {
    let rest = comment.strip_prefix(b"@")?;
    Extension::KEYS.into_iter().find(|key| rest.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")))
}

/// How an extension is written.
fn example(key: &str) -> &'static str {
    match key {
        "allow" => "allow=no-match",
        "backlog" => "backlog=80",
        "ca" => "ca=/etc/ssl/our-ca.pem",
        "close_wait" => "close_wait=64",
        "close_wait_age" => "close_wait_age=3600",
        "connections" => "connections=1000",
        "descriptors" => "descriptors=90",
        "expiry_warn" => "expiry_warn=14",
        "header" => "header=\"Host: example.org\"",
        "match" => "match=ready",
        "match_header" => "match_header=nginx",
        "method" => "method=GET",
        "path" => "path=/health",
        "script_timeout" => "script_timeout=600",
        "socket_stall" => "socket_stall=30",
        "stall_guard" => "stall_guard=80",
        "status" => "status=200-399",
        "timeout" => "timeout=5",
        _ => "verify=on",
    }
}

/// A value without its quotes, and where it stood.
struct Value {
    bytes: Vec<u8>,
    place: Place,
}

impl<'a> Reader<'a> {
    pub(super) fn extension_line(&mut self, line: Field<'a>) {
        let mut rest = line.trim_start();
        while !rest.bytes.is_empty() {
            let (word, after) = split_item(rest);
            rest = after.trim_start();
            let read = self.item(word);
            if let Some(extension) = self.take(read) {
                self.add(extension);
            }
        }
    }

    fn item(&mut self, word: Field<'a>) -> Result<Placed<Extension>, Problem> {
        let Some((key, written)) = word.split_once(b'=') else {
            let problem =
                word.problem(Check::MalformedExtension, format!("{} is not of the form KEY=VALUE", word.quoted()));
            return Err(match nearest(word.bytes, Extension::KEYS) {
                Some(key) => problem.hint(format!("such as `{}`, without blanks around the `=`", example(key))),
                None => problem.hint("a plain comment begins with `#` and not with `#@` and a blank"),
            });
        };
        let value = unquoted(written)?;
        let extension = match key.bytes {
            b"allow" => Some(Extension::Allow(self.lints(written, &value)?)),
            other => value.extension(other)?,
        };
        let Some(extension) = extension else {
            return Err(key.problem(Check::UnknownExtension, format!("{} is not an extension", key.quoted())).suggest(
                nearest(key.bytes, Extension::KEYS),
                format!("extensions are {}; a plain comment begins with `#`", Extension::KEYS.join(", ")),
            ));
        };
        Ok(Placed::new(extension, word.place()))
    }

    /// Names that are no lints are told one by one; the others hold.
    fn lints(&mut self, written: Field<'a>, value: &Value) -> Result<Vec<Check>, Problem> {
        let mut lints = Vec::new();
        for name in value.bytes.split(|byte| *byte == b',') {
            match Check::lint(name) {
                Some(lint) => lints.push(lint),
                None => {
                    let is_error = Check::ALL.iter().any(|check| check.name().as_bytes() == name);
                    let near = nearest(name, Check::lints().map(Check::name)).filter(|_| !is_error);
                    let why = if is_error { "an error, which cannot be allowed" } else { "not a lint" };
                    let problem = written.problem(Check::UnknownLint, format!("{} is {why}", quoted(name)));
                    self.tell(problem.suggest(near, "`watcher check --list` shows what is a warning"));
                }
            }
        }
        self.allowed.allow(self.current(), &lints);
        Ok(lints)
    }

    fn add(&mut self, extension: Placed<Extension>) {
        let key = extension.value.key();
        let problem = |check, message: String| Problem::new(check, extension.place, message);
        let owned = match (self.owner, self.entries.last_mut()) {
            (Owner::Entry | Owner::SpoiltEntry, _) if extension.value.belongs_to() == BelongsTo::File => {
                let problem = problem(Check::MisplacedExtension, format!("`{key}` belongs to the whole file"));
                return self.tell(problem.hint("write the line before the first entry"));
            }
            (Owner::Entry, Some(entry)) => &mut entry.value.extensions,
            (Owner::File, _) if extension.value.belongs_to() != BelongsTo::Entry => &mut self.extensions,
            (Owner::File, _) => {
                let problem = problem(Check::MisplacedExtension, format!("`{key}` belongs to an entry"));
                return self.tell(problem.hint("write the line after the entry's line"));
            }
            (Owner::Entry | Owner::SpoiltEntry, _) => return,
        };
        let first = self.seen_extensions.get(key).copied().filter(|_| !extension.value.is_repeatable());
        self.seen_extensions.entry(key).or_insert(extension.place);
        match first {
            Some(first) => {
                let problem = problem(Check::DuplicateExtension, format!("`{key}` is given a second time"));
                self.tell(problem.hint("keep one of the two").related(first, "it was given here first"));
            }
            None => owned.push(extension),
        }
    }
}

/// Up to the first blank outside of quotes, and what follows.
fn split_item(text: Field<'_>) -> (Field<'_>, Field<'_>) {
    let mut quoted = false;
    let mut escaped = false;
    let end = text.bytes.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\t' => return !quoted,
            _ => {}
        }
        false
    });
    text.split_at(end.unwrap_or(text.bytes.len()))
}

/// The value without its double quotes; `\"` and `\\` stand for themselves within them.
fn unquoted(written: Field<'_>) -> Result<Value, Problem> {
    let place = written.place();
    let Some(inner) = written.bytes.strip_prefix(b"\"") else {
        return Ok(Value { bytes: written.bytes.into(), place });
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' if rest.as_slice().is_empty() => return Ok(Value { bytes, place }),
            b'"' => break,
            b'\\' => bytes.extend(rest.next()),
            other => bytes.push(*other),
        }
    }
    Err(written
        .problem(Check::MalformedExtension, format!("the quotes of {} do not fit", written.quoted()))
        .hint("a quoted value ends in `\"`; within it, write `\\\"` for `\"` and `\\\\` for `\\`"))
}

impl Extension {
    /// An extension that has one value, by its key, with the value as it would stand in quotes; `None`: there is none.
    ///
    /// # Errors
    /// Why the value cannot be.
    pub fn of(key: &str, value: &[u8]) -> Result<Option<Self>, String> {
        let whole = Place { start: 0, end: value.len() };
        let read = Value { bytes: value.into(), place: whole }.extension(key.as_bytes());
        read.map_err(|problem| match problem.hint {
            Some(hint) => format!("{}; {hint}", problem.message),
            None => problem.message,
        })
    }
}

impl Value {
    fn extension(&self, key: &[u8]) -> Result<Option<Extension>, Problem> {
        Ok(Some(match key {
            b"backlog" => Extension::Backlog(self.percent()?),
            b"close_wait" => Extension::CloseWait(self.number("the number of connections")?),
            b"close_wait_age" => Extension::CloseWaitAge(Seconds(self.number("the time")?)),
            b"connections" => Extension::Connections(self.number("the number of connections")?),
            b"descriptors" => Extension::Descriptors(self.percent()?),
            b"socket_stall" => Extension::SocketStall(Seconds(self.number("the time")?)),
            b"ca" => Extension::Ca(Field::new(&self.bytes, self.place.start).absolute_path("the certificate file")?),
            b"expiry_warn" => Extension::ExpiryWarn(self.number("the number of days")?),
            b"header" => Extension::Header(self.header()?),
            b"match" => Extension::Match(self.text()?),
            b"match_header" => Extension::MatchHeader(self.text()?),
            b"method" => Extension::Method(self.one_of([("GET", Method::Get), ("HEAD", Method::Head)])?),
            b"path" => Extension::Path(self.path()?),
            b"script_timeout" => Extension::ScriptTimeout(Seconds(self.number("the time limit")?)),
            b"stall_guard" => Extension::StallGuard(self.share()?),
            b"status" => Extension::Status(self.status()?),
            b"timeout" => Extension::Timeout(Seconds(self.number("the time-out")?)),
            b"verify" => Extension::Verify(self.one_of([("on", true), ("off", false)])?),
            _ => return Ok(None),
        }))
    }

    fn wrong(&self, hint: &str) -> Problem {
        let message = format!("{} is not possible here", quoted(&self.bytes));
        Problem::new(Check::InvalidValue, self.place, message).hint(hint)
    }

    fn number(&self, what: &str) -> Result<u32, Problem> {
        match Field::new(&self.bytes, 0).number(what) {
            Ok(0) => Err(self.wrong("it must be at least 1")),
            Ok(number) => Ok(number),
            Err(problem) => Err(Problem { place: self.place, ..problem }),
        }
    }

    fn one_of<T, const N: usize>(&self, choices: [(&str, T); N]) -> Result<T, Problem> {
        let names: Vec<_> = choices.iter().map(|(name, _)| (*name).to_owned()).collect();
        let chosen = choices.into_iter().find(|(name, _)| name.as_bytes() == self.bytes);
        chosen.map(|(_, value)| value).ok_or_else(|| self.wrong(&format!("it is {}", names.join(" or "))))
    }

    fn percent(&self) -> Result<u32, Problem> {
        let percent = self.number("the share").ok().filter(|percent| *percent <= 100);
        percent.ok_or_else(|| self.wrong("it is a share in percent, 1 to 100"))
    }

    fn share(&self) -> Result<Option<u32>, Problem> {
        let percent = || self.number("the share").ok().filter(|percent| *percent <= 100);
        match self.bytes.as_slice() {
            b"off" => Ok(None),
            _ => percent()
                .map(Some)
                .ok_or_else(|| self.wrong("it is off, or a share of all services in percent, 1 to 100")),
        }
    }

    fn text(&self) -> Result<Bytes, Problem> {
        let fits = !self.bytes.is_empty() && !self.bytes.iter().any(u8::is_ascii_control);
        if fits { Ok(self.bytes.as_slice().into()) } else { Err(self.wrong("some text on one line is wanted")) }
    }

    fn path(&self) -> Result<Bytes, Problem> {
        let fits = self.bytes.starts_with(b"/") && self.bytes.iter().all(u8::is_ascii_graphic);
        if fits { self.text() } else { Err(self.wrong("it begins with `/` and has no blanks")) }
    }

    fn header(&self) -> Result<Bytes, Problem> {
        let name = self.bytes.split(|byte| *byte == b':').next().unwrap_or_default();
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let fits = name.len() < self.bytes.len() && !name.is_empty() && name.iter().all(is_token);
        if fits { self.text() } else { Err(self.wrong("a header is \"Name: value\"")) }
    }

    fn status(&self) -> Result<Vec<StatusRange>, Problem> {
        let code = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 3);
        let range = |item: &[u8]| {
            let item = str::from_utf8(item).ok()?;
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            StatusRange::new(code(first)?, code(last)?)
        };
        let ranges = self.bytes.split(|byte| *byte == b',').map(range).collect::<Option<Vec<_>>>();
        ranges.ok_or_else(|| self.wrong("status codes are 100 to 599, such as 200,301-304"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::{UnknownOptions, read};

    #[test]
    fn every_key_has_an_example_that_can_be_read() {
        for key in Extension::KEYS {
            let example = example(key);
            assert!(example.starts_with(&format!("{key}=")), "{key}: {example}");
            let files = [format!("#@ {example}\n/a:/b:0:3:exit\n"), format!("/a:/b:0:3:exit\n#@ {example}\n")];
            let reads = |text: &String| {
                let reading = read(format!("IPCKEY 0x1\n{text}").as_bytes(), UnknownOptions::Refuse);
                reading.pfile.is_some()
            };
            assert!(files.iter().any(reads), "{example}");
            let bare = read(format!("IPCKEY 0x1\n/a:/b:0:3:exit\n#@ {key}\n").as_bytes(), UnknownOptions::Refuse);
            let hint = bare.problems[0].hint.clone().unwrap();
            assert_eq!(hint, format!("such as `{example}`, without blanks around the `=`"));
        }
    }
}
