//! Lines of a block. `PS_EXEC` is read strictly. The others say nothing that can be chosen, but one digit: they are read
//! with all the damage that printed samples show.

use super::{Check, Field, Place, Problem, Reader, block::BlockLine, field::nearest};
use crate::pfile::{AfterFailedKill, AfterStall, Bytes, Placed, Port, Seconds, StallKind, StallTarget, StallTiming};

/// The lines of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Init,
    Exec,
    Action,
    Quit,
}

impl Keyword {
    pub(super) const ALL: [Self; 4] = [Self::Init, Self::Exec, Self::Action, Self::Quit];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Init => "PS_INIT",
            Self::Exec => "PS_EXEC",
            Self::Action => "PS_ACTION",
            Self::Quit => "PS_QUIT",
        }
    }
}

/// What `PS_EXEC` says.
pub(super) struct Exec {
    pub(super) library: Bytes,
    pub(super) timing: StallTiming,
    pub(super) target: StallTarget,
    pub(super) after_stall: AfterStall,
}

/// How a line that nobody need change should look.
pub(super) fn canonical(keyword: Keyword, library: &[u8]) -> Vec<u8> {
    let error = if keyword == Keyword::Action { "1" } else { "-" };
    let line = |rest: &str| [keyword.name().as_bytes(), b" DLL:", library, rest.as_bytes()].concat();
    line(&format!(":DIRECT:-:-:{error}:0"))
}

/// How many fields there are before the arguments.
const BEFORE_ARGUMENTS: usize = 7;
const FORM: &str = "DLL:LIBRARY:DIRECT:-:INTERVAL:ERROR:ARGC:RETRY_OVER_TIME:PORT…";

impl<'a> Reader<'a> {
    pub(super) fn exec(&mut self, kind: StallKind, line: &BlockLine<'a>) -> Result<Exec, Problem> {
        let [part, file, call, timeout, interval, error, argc, arguments @ ..] = line.fields.as_slice() else {
            let message = format!("`PS_EXEC` has {} fields of at least {BEFORE_ARGUMENTS}", line.fields.len());
            return Err(Problem::new(Check::FieldCount, line.fields_place(), message).hint(format!("it is {FORM}")));
        };
        let library = self.head(kind, *part, *file, *call)?;
        if !timeout.is("-") {
            let message = format!("the time-out is {}, but it cannot be set here", timeout.quoted());
            return Err(timeout.problem(Check::InvalidValue, message).hint("write `-`"));
        }
        let announced = argc.number("the number of arguments")?;
        if usize::try_from(announced) != Ok(arguments.len()) {
            let given = arguments.len();
            let message = format!("`PS_EXEC` announces {announced} arguments, but {given} follow");
            let hint = ipv6_hint(arguments).map_or_else(|| format!("it is {FORM}"), str::to_owned);
            return Err(argc.problem(Check::FieldCount, message).hint(hint));
        }
        let (least, most) = kind.arguments();
        let ([retry_over, port, more @ ..], true) = (arguments, arguments.len() <= most) else {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let message = format!("`{}` takes {wanted} arguments, not {announced}", kind.block());
            return Err(argc
                .problem(Check::ArgumentCount, message)
                .hint(ipv6_hint(arguments).unwrap_or_else(|| arguments_hint(kind))));
        };
        let timing = timing(*interval, *retry_over)?;
        let after_stall = match error.bytes {
            b"0" | b"-" => AfterStall::GoOn,
            b"1" => AfterStall::Stop,
            _ => return Err(error_rule(*error)),
        };
        let mut more = more.iter().copied().map(|field| Some(field).filter(|field| !field.is("-")));
        let host = more.next().flatten().map(host).transpose()?;
        let timeout = more.next().flatten().map(check_timeout).transpose()?;
        let path = more.next().flatten().map(path).transpose()?;
        let port = port_number(*port)?;
        Ok(Exec { library, timing, target: StallTarget { port, host, timeout, path }, after_stall })
    }

    /// `PS_ACTION`: the last `0` or `1` before the final `0` is the error rule; 1 where there is none.
    pub(super) fn action(&mut self, kind: StallKind, line: &BlockLine<'a>) -> Result<AfterFailedKill, Problem> {
        let (file, middle) = self.lenient(kind, line)?;
        let mut rule = None;
        for field in &middle {
            match field.bytes {
                b"" | b"-" => {}
                b"0" => rule = Some(AfterFailedKill::Nothing),
                b"1" => rule = Some(AfterFailedKill::RetryOver),
                _ => return Err(error_rule(*field)),
            }
        }
        let rule = rule.unwrap_or(AfterFailedKill::RetryOver);
        let digit = match rule {
            AfterFailedKill::Nothing => "0",
            AfterFailedKill::RetryOver => "1",
        };
        self.tell_of_damage(line, file, &middle, ["-", "-", digit]);
        Ok(rule)
    }

    /// `PS_INIT` and `PS_QUIT`, in which nothing can be chosen.
    pub(super) fn fixed(&mut self, kind: StallKind, line: &BlockLine<'a>) -> Result<(), Problem> {
        let (file, middle) = self.lenient(kind, line)?;
        if let Some(field) = middle.iter().find(|field| !(field.is("-") || field.is(""))) {
            let message = format!("{} in {}, where nothing can be chosen", field.quoted(), line.word.quoted());
            return Err(field.problem(Check::InvalidValue, message).hint("write `-`"));
        }
        self.tell_of_damage(line, file, &middle, ["-", "-", "-"]);
        Ok(())
    }

    /// What all lenient lines have in common: three fields at the start and a `0` at the end. Gives what is between.
    fn lenient(&mut self, kind: StallKind, line: &BlockLine<'a>) -> Result<(Field<'a>, Vec<Field<'a>>), Problem> {
        let [part, file, call, middle @ .., argc] = line.fields.as_slice() else {
            let message = format!("{} is too short", line.word.quoted());
            let hint = format!("it is DLL:{}:DIRECT:-:-:-:0", kind.library());
            return Err(Problem::new(Check::FieldCount, line.fields_place(), message).hint(hint));
        };
        self.head(kind, *part, *file, *call)?;
        if !argc.is("0") {
            let message = format!("{} takes no arguments, but its last field is {}", line.word.quoted(), argc.quoted());
            return Err(argc.problem(Check::FieldCount, message).hint("write `0`"));
        }
        Ok((*file, middle.to_vec()))
    }

    fn tell_of_damage(&mut self, line: &BlockLine<'a>, file: Field<'a>, middle: &[Field<'a>], right: [&str; 3]) {
        let same = |(field, right): (&Field<'a>, &str)| field.is(right);
        // An error rule of `-` means the default: nothing is damaged then.
        let defaulted = right == ["-", "-", "1"] && middle.len() == 3 && middle.iter().all(|field| field.is("-"));
        if middle.len() == right.len() && (defaulted || middle.iter().zip(right).all(same)) {
            return;
        }
        let whole = line.fields_place();
        let place = Place { start: file.place().end + 1, end: whole.end };
        let right = format!("DIRECT:{}:0", right.join(":"));
        let message = format!("the separators of {} are damaged, as in the printed samples", line.word.quoted());
        self.tell(
            Problem::new(Check::DamagedLine, place, message)
                .hint(format!("after the library it is `{right}`"))
                .repair(place, right),
        );
    }

    /// Type, library and way of calling. The library only has to be the right one by its name.
    fn head(&mut self, kind: StallKind, part: Field<'a>, file: Field<'a>, call: Field<'a>) -> Result<Bytes, Problem> {
        for (field, only) in [(part, "DLL"), (call, "DIRECT")] {
            if !field.is(only) {
                let message = format!("{} instead of `{only}`", field.quoted());
                return Err(field
                    .problem(Check::InvalidValue, message)
                    .hint(format!("write `{only}`; there is no other")));
            }
        }
        file.absolute_path("the library")?;
        let name = file.bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if name == kind.library().as_bytes() {
            return Ok(file.bytes.into());
        }
        let (folder, name) = file.split_at(file.bytes.len() - name.len());
        if kind.misspelt().is_some_and(|(_, library)| name.is(library)) {
            let right = kind.library();
            let message = format!("{} is misspelt, as in the manual; it is taken for `{right}`", name.quoted());
            self.tell(
                name.problem(Check::MisspeltLibrary, message)
                    .hint(format!("write `{right}`"))
                    .repair(name.place(), right),
            );
            return Ok([folder.bytes, right.as_bytes()].concat().as_slice().into());
        }
        let libraries = StallKind::ALL.map(StallKind::library);
        if libraries.iter().any(|library| name.is(library)) {
            let message = format!("{} does not belong to `{}`", name.quoted(), kind.block());
            return Err(name.problem(Check::LibraryMismatch, message).hint(format!("write `{}`", kind.library())));
        }
        Err(name
            .problem(Check::UnknownLibrary, format!("{} stands for no check that is built in", name.quoted()))
            .suggest(
                nearest(name.bytes, libraries),
                format!("libraries are {}; plug-ins of one's own cannot be loaded", libraries.join(", ")),
            ))
    }
}

/// What is amiss where an IPv6 address, such as `::1`, stands in place of the host.
fn ipv6_hint(arguments: &[Field<'_>]) -> Option<&'static str> {
    let is_cut = arguments.get(2..)?.windows(2).any(|two| matches!(two, [_, next] if next.is("")));
    is_cut.then_some("an IPv6 address cannot stand here, since `:` ends a field: give it a name in /etc/hosts, or write `-` for this host")
}

fn arguments_hint(kind: StallKind) -> &'static str {
    match kind {
        StallKind::Socket => "they are the retry-over time and the port",
        StallKind::Web => "they are the retry-over time, the port, and perhaps the host; `#@` has more",
        StallKind::WebTls => "they are the retry-over time, the port, and perhaps host, time-out and path",
    }
}

fn error_rule(field: Field<'_>) -> Problem {
    field
        .problem(Check::InvalidValue, format!("{} is not an error rule", field.quoted()))
        .hint("it is `0`, `1`, or `-` for the default")
}

fn timing(interval: Field<'_>, retry_over: Field<'_>) -> Result<StallTiming, Problem> {
    let seconds = |field: Field<'_>, what, default| match field.bytes {
        b"-" => Ok(default),
        _ => field.number(what).map(Seconds),
    };
    let every = seconds(interval, "the interval", StallTiming::DEFAULT_INTERVAL)?;
    let longest = seconds(retry_over, "the retry-over time", StallTiming::DEFAULT_RETRY_OVER)?;
    let (Seconds(shown), Seconds(limit), Seconds(shortest)) = (every, longest, StallTiming::SHORTEST);
    StallTiming::new(every, longest).ok_or_else(|| match every < StallTiming::SHORTEST {
        true => interval
            .problem(Check::IntervalTooShort, format!("an interval of {shown} seconds is too short"))
            .hint(format!("the shortest is {shortest} seconds")),
        false => retry_over
            .problem(
                Check::RetryOverTooShort,
                format!("the retry-over time, {limit} seconds, is shorter than the interval, {shown} seconds"),
            )
            .hint("a stall can only be told once a check was due")
            .related(interval.place(), "the interval"),
    })
}

fn port_number(field: Field<'_>) -> Result<Port, Problem> {
    let wrong = || {
        field
            .problem(Check::InvalidValue, format!("{} is not a port", field.quoted()))
            .hint("a port is a number from 1 to 65535; names are not looked up")
    };
    field.number("the port").ok().and_then(Port::new).ok_or_else(wrong)
}

fn host(field: Field<'_>) -> Result<Placed<Bytes>, Problem> {
    let fits = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    if field.bytes.is_empty() || !field.bytes.iter().all(fits) {
        return Err(field
            .problem(Check::InvalidValue, format!("{} is not a host name", field.quoted()))
            .hint("write a name, an IPv4 address, or `-` for this host"));
    }
    Ok(Placed::new(field.bytes.into(), field.place()))
}

fn check_timeout(field: Field<'_>) -> Result<Seconds, Problem> {
    match field.number("the time-out")? {
        0 => Err(field.problem(Check::InvalidValue, "a time-out of 0 seconds lets no check succeed")),
        seconds => Ok(Seconds(seconds)),
    }
}

fn path(field: Field<'_>) -> Result<Bytes, Problem> {
    if field.bytes.starts_with(b"/") && field.bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(field.bytes.into());
    }
    Err(field
        .problem(Check::InvalidValue, format!("{} is not a path that can be asked for", field.quoted()))
        .hint("it begins with `/` and has no blanks"))
}
