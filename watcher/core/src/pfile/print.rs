//! From values to text, in one form for all: what is read again is the same. Comments are no values, and get lost
//! here.

use super::{
    AbsolutePath, AfterFailedKill, AfterStall, Bytes, Check, Entry, EntryOption, Extension, Param, Pfile, Seconds,
    StallCheck, StallKind,
};

/// The text of a pfile.
#[must_use]
pub fn print(pfile: &Pfile) -> Vec<u8> {
    let Pfile { param, entries, extensions } = pfile;
    let mut out = Text::default();
    out.line(&[b"##### PARAM #####"]);
    for extension in extensions {
        out.extension(&extension.value);
    }
    out.param(param);
    out.line(&[b"##### PENT #####"]);
    for entry in entries {
        out.entry(&entry.value);
    }
    out.0
}

/// The text of one entry, with its blocks and extensions.
#[must_use]
pub fn print_entry(entry: &Entry) -> Bytes {
    let mut out = Text::default();
    out.entry(entry);
    out.0.as_slice().into()
}

/// The text of a block, below the extensions that say more of it.
#[must_use]
pub fn print_block(check: &StallCheck, extensions: &[Extension]) -> Bytes {
    let mut out = Text::default();
    for extension in extensions {
        out.extension(extension);
    }
    out.stall_check(check);
    out.0.as_slice().into()
}

#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn line(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
        self.0.push(b'\n');
    }

    fn param(&mut self, param: &Param) {
        let Param { ipc_key, msg_check_interval, monitor_interval, dump_file } = param;
        let mut line = |keyword: &str, value: &[u8]| self.line(&[format!("{keyword:<20}").as_bytes(), value]);
        line("IPCKEY", ipc_key.value.written().as_slice());
        for (keyword, interval) in [("MSG_CHECK_INTERVAL", msg_check_interval), ("MONITOR_INTERVAL", monitor_interval)]
        {
            if let Some(interval) = interval {
                line(keyword, interval.value.seconds().to_string().as_bytes());
            }
        }
        if let Some(path) = dump_file {
            line("SHM_DUMP_FILE", path.value.as_slice());
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let Entry { process, script, grace, retries, retry_over, options, stall_checks, extensions } = entry;
        let (Seconds(grace), retries) = (grace.value, retries.value);
        let numbers = format!(":{grace}:{retries}:");
        let (process, script): (&AbsolutePath, &AbsolutePath) = (&process.value, &script.value);
        let written = retry_over.value.written().as_slice();
        self.0.extend([process.as_slice(), b":", script.as_slice(), numbers.as_bytes(), written].concat());
        for option in options {
            self.0.push(b':');
            self.option(&option.value);
        }
        // At the end of a line a blank would not be part of the last option any more.
        if self.0.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            self.0.push(b':');
        }
        self.0.push(b'\n');
        for extension in extensions {
            self.extension(&extension.value);
        }
        for check in stall_checks {
            self.stall_check(&check.value);
        }
    }

    fn option(&mut self, option: &EntryOption) {
        if let Some(name) = option.name() {
            self.0.extend_from_slice(name.as_bytes());
            self.0.push(b'=');
        }
        match option {
            EntryOption::ClearCmd(path) => self.0.extend_from_slice(path.as_slice()),
            EntryOption::ExcludeStrings(strings) | EntryOption::IncludeStrings(strings) => {
                self.0.extend_from_slice(strings.written().as_slice());
            }
            EntryOption::GroupTag { tag: bytes, long: _ } | EntryOption::Unknown(bytes) => {
                self.0.extend_from_slice(bytes.as_slice());
            }
            EntryOption::MaxProcCount(count) | EntryOption::MinProcCount(count) => {
                self.0.extend_from_slice(count.to_string().as_bytes());
            }
            EntryOption::RestartWaitTime(Seconds(seconds)) => {
                self.0.extend_from_slice(seconds.to_string().as_bytes());
            }
        }
    }

    fn stall_check(&mut self, check: &StallCheck) {
        let StallCheck { kind, library, timing, target, after_stall, after_failed_kill } = check;
        self.line(&[kind.block().as_bytes(), b" {"]);
        let library = library.as_slice();
        let mut line = |keyword: &str, rest: &str| {
            self.line(&[
                b"    ",
                format!("{keyword:<9}").as_bytes(),
                b"  DLL:",
                library,
                b":DIRECT:-",
                rest.as_bytes(),
            ]);
        };
        line("PS_INIT", ":-:-:0");
        let error = match (after_stall, kind) {
            (AfterStall::GoOn, StallKind::WebTls) => "-",
            (AfterStall::GoOn, StallKind::Socket | StallKind::Web) => "0",
            (AfterStall::Stop, _) => "1",
        };
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let timeout = target.timeout.map_or_else(|| "-".to_owned(), |Seconds(seconds)| seconds.to_string());
        let mut arguments = vec![
            timing.retry_over().0.to_string(),
            target.port.number().to_string(),
            text(&target.host.as_ref().map(|host| host.value.clone())),
            timeout,
            text(&target.path),
        ];
        while arguments.last().is_some_and(|last| last == "-") {
            arguments.pop();
        }
        let interval = timing.interval().0;
        line("PS_EXEC", &format!(":{interval}:{error}:{}:{}", arguments.len(), arguments.join(":")));
        line(
            "PS_ACTION",
            match after_failed_kill {
                AfterFailedKill::Nothing => ":-:0:0",
                AfterFailedKill::RetryOver => ":-:1:0",
            },
        );
        line("PS_QUIT", ":-:-:0");
        self.line(&[b"}"]);
    }

    fn extension(&mut self, extension: &Extension) {
        let value: Vec<u8> = match extension {
            Extension::Allow(lints) => {
                lints.iter().copied().map(Check::name).collect::<Vec<_>>().join(",").into_bytes()
            }
            Extension::Ca(path) => path.as_slice().to_vec(),
            Extension::Header(text) | Extension::Match(text) | Extension::MatchHeader(text) | Extension::Path(text) => {
                text.as_slice().to_vec()
            }
            Extension::Backlog(number)
            | Extension::CloseWait(number)
            | Extension::Connections(number)
            | Extension::Descriptors(number)
            | Extension::ExpiryWarn(number)
            | Extension::CloseWaitAge(Seconds(number))
            | Extension::SocketStall(Seconds(number))
            | Extension::ScriptTimeout(Seconds(number))
            | Extension::Timeout(Seconds(number)) => number.to_string().into_bytes(),
            Extension::Method(method) => method.name().into(),
            Extension::StallGuard(share) => {
                share.map_or_else(|| "off".to_owned(), |share| share.to_string()).into_bytes()
            }
            Extension::Status(ranges) => {
                ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").into_bytes()
            }
            Extension::Verify(verify) => if *verify { "on" } else { "off" }.into(),
        };
        self.line(&[b"#@ ", extension.key().as_bytes(), b"=", &in_quotes(value)]);
    }
}

/// As the reader takes it for one value.
fn in_quotes(value: Vec<u8>) -> Vec<u8> {
    if !value.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'"')) {
        return value;
    }
    let mut text = vec![b'"'];
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
    text
}
