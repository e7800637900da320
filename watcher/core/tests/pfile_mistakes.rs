//! Every mistake is told, in its place, all of a file at once.

use std::collections::BTreeSet;

use watcher_core::pfile::{Check, Lines, Position, Reading, Severity, UnknownOptions, read};

/// What is told of a text, as `LINE:COLUMN name`.
fn told(text: &[u8]) -> Vec<String> {
    let lines = Lines::of(text);
    let Reading { pfile, problems, .. } = read(text, UnknownOptions::Refuse);
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(pfile.is_none(), failed, "a file loads when it has no errors");
    let show = |problem: &watcher_core::pfile::Problem| {
        let Position { line, column } = lines.position(problem.place.start);
        assert!(problem.place.start <= problem.place.end && problem.place.end <= text.len(), "{problem:?}");
        format!("{line}:{column} {}", problem.check)
    };
    problems.iter().map(show).collect()
}

/// After a key on line 1.
const IN_PARAMETERS: &[(&str, &[&str])] = &[
    ("MONITOR_INTERVAL 10\nMONITOR_INTERVAL 10", &["3:1 duplicate-parameter"]),
    ("IPCKEY 0x2", &["2:1 duplicate-parameter"]),
    ("MONITOR_INTERVAL", &["2:1 invalid-value"]),
    ("MONITOR_INTERVAL 0", &["2:18 invalid-value"]),
    ("MONITOR_INTERVAL\t86401", &["2:18 invalid-value"]),
    ("MONITOR_INTERVAL 10 # seconds", &["2:18 invalid-value"]),
    ("MSG_CHECK_INTERVAL five", &["2:20 invalid-value"]),
    ("SHM_DUMP_FILE dump", &["2:15 relative-path"]),
    ("MONITOR_INTERVALL 10", &["2:1 unknown-parameter"]),
    ("monitor_interval 10", &["2:1 unknown-parameter"]),
    ("MsgCheckInterval 5", &["2:1 unknown-parameter"]),
    ("MONITOR_INTERVAL=10", &["2:1 unknown-parameter"]),
    ("IPC\0KEY 0x2", &["2:4 nul-byte"]),
    ("# caf\u{e9} \0", &["2:9 nul-byte"]),
    ("SHM_DUMP_FILE /a\x07b", &["2:17 control-character"]),
    ("SHM_DUMP_FILE /a\rb", &["2:17 control-character"]),
    ("PS_EXEC DLL:", &["2:1 stray-line"]),
    ("}", &["2:1 stray-line"]),
    ("_bi_socket {\n}", &["2:1 block-without-entry", "2:1 missing-field"]),
    ("#@ verify=on", &["2:4 misplaced-extension"]),
    ("#@ stall_guard=80", &[]),
    ("#@ stall_guard=off", &[]),
    ("#@ stall_guard=101", &["2:16 invalid-value"]),
    ("#@ stall_guard=0", &["2:16 invalid-value"]),
    ("/a:/b:86400:3:exit\n#@ stall_guard=80", &["3:4 misplaced-extension"]),
];

/// An entry alone on line 2.
const ENTRIES: &[(&str, &[&str])] = &[
    ("/a:/b:86400:3:exit", &[]),
    ("  /a : /b : 86400 : 3 : EXIT  ", &[]),
    ("/a:/b:0:0:Continue:include_strings=a&b:exclude_strings=c d", &[]),
    ("/a", &["2:3 missing-field"]),
    ("/a:/b:1", &["2:8 missing-field"]),
    (":/b:86400:3:exit", &["2:1 missing-field"]),
    ("java:b:86400:3:exit", &["2:1 relative-path", "2:6 relative-path"]),
    ("/a:/b:1d:x:exitt", &["2:7 invalid-value", "2:10 invalid-value", "2:12 unknown-action"]),
    ("/a:/b:86400:3:", &["2:15 unknown-action"]),
    ("/a:/b:86400:4294967296:exit", &["2:13 invalid-value"]),
    ("/a:/b:86400:3:exit:", &["2:20 empty-field"]),
    ("/a:/b:86400:3:exit:includestrings=x", &["2:20 unknown-option"]),
    ("/a:/b:86400:3:exit:include_strings=-Dx:y", &["2:40 unknown-option"]),
    ("/a:/b:86400:3:exit:include_strings=a:include_strings=b", &["2:38 duplicate-option"]),
    ("/a:/b:86400:3:exit:grp_tag=a:group_tag=b", &["2:30 duplicate-option"]),
    ("/a:/b:86400:3:exit:grp_tag=a b", &["2:28 invalid-value"]),
    ("/a:/b:86400:3:exit:include_strings=a&&b", &["2:38 empty-search-word"]),
    ("/a:/b:86400:3:exit:include_strings=", &["2:36 empty-search-word"]),
    ("/a:/b:86400:3:exit:min_proc_count=3:max_proc_count=2", &["2:37 count-range"]),
    ("/a:/b:86400:3:exit:clear_cmd=clean:restart_waittime=-1", &["2:30 relative-path", "2:53 invalid-value"]),
];

/// After an entry on line 2.
const AFTER_ENTRY: &[(&str, &[&str])] = &[
    ("#@ allow=no-match,script-missing verify=on", &[]),
    ("#@(#) what(1) finds this; it was there first", &[]),
    ("#@verify=on", &["3:1 glued-extension"]),
    ("  #@path=x y", &["3:3 glued-extension"]),
    ("#@ allow=glued-extension\n#@path=x", &[]),
    ("#@author=me", &[]),
    ("#@version=1.2", &[]),
    ("#@ verify", &["3:4 malformed-extension"]),
    ("#@ verify=maybe", &["3:11 invalid-value"]),
    ("#@ verifi=on", &["3:4 unknown-extension"]),
    ("#@ verify", &["3:4 malformed-extension"]),
    ("#@ match=\"never ends", &["3:10 malformed-extension"]),
    ("#@ verify=on\n#@ verify=off", &["4:4 duplicate-extension"]),
    ("#@ header=\"A: 1\" header=\"B: 2\" match=\"a \\\"b\\\"\" status=200,301-304 method=GET", &[]),
    ("#@ header=nonsense status=99 expiry_warn=0", &["3:11 invalid-value", "3:27 invalid-value", "3:42 invalid-value"]),
    ("#@ allow=script-mising,nul-byte", &["3:10 unknown-lint", "3:10 unknown-lint"]),
    ("_bi_webserver {\n}", &["3:1 unknown-block"]),
    ("_bi_socket\n}", &["3:1 malformed-block", "3:1 missing-field"]),
    ("_bi_socket {", &["3:1 unclosed-block"]),
    ("_bi_socket {\n/c:/d:1:1:exit", &["3:1 unclosed-block"]),
    ("_bi_socket {\n  PS_EXCE DLL\n} }", &["4:3 unknown-block-line", "5:3 stray-line", "3:1 missing-field"]),
];

/// The `PS_EXEC` line of a socket block, on line 4, from column 9 on.
const EXECS: &[(&str, &[&str])] = &[
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:10:0:2:10:65535", &[]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:-:-:2:-:80", &[]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:2:600", &["4:47 field-count"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60", &["4:9 field-count"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT::60:0:2:600:80", &["4:40 invalid-value"]),
    ("EXE:/x/lib_bi_socket.so:DIRECT:-:60:0:2:600:80", &["4:9 invalid-value"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:3:600:80:host", &["4:47 argument-count"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:1:600", &["4:47 argument-count"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:9:0:2:600:80", &["4:42 interval-too-short"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:2:59:80", &["4:49 retry-over-too-short"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:2:2:600:80", &["4:45 invalid-value"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:2:600:0", &["4:53 invalid-value"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:2:600:65536", &["4:53 invalid-value"]),
    ("DLL:/x/lib_bi_socket.so:DIRECT:-:60:0:2:600:http", &["4:53 invalid-value"]),
    ("DLL:/x/lib_bi_webserv.so:DIRECT:-:60:0:2:600:80", &["4:16 library-mismatch"]),
    ("DLL:/x/my_plugin.so:DIRECT:-:60:0:2:600:80", &["4:16 unknown-library"]),
    ("DLL:lib_bi_socket.so:DIRECT:-:60:0:2:600:80", &["4:13 relative-path"]),
];

fn in_socket_block(line: &str) -> String {
    let fixed = "DLL:/x/lib_bi_socket.so:DIRECT:-:-";
    format!(
        "IPCKEY 0x1\n/a:/b:86400:3:exit\n_bi_socket {{\n{line}\nPS_INIT {fixed}:-:0\nPS_ACTION {fixed}:1:0\nPS_QUIT \
         {fixed}:-:0\n}}\n"
    )
}

fn cases() -> Vec<(String, Vec<&'static str>)> {
    let parameters =
        IN_PARAMETERS.iter().map(|(lines, told)| (format!("IPCKEY 0x1\n{lines}\n/a:/b:86400:3:exit\n"), told.to_vec()));
    let entries = ENTRIES.iter().map(|(line, told)| (format!("IPCKEY 0x1\n{line}\n"), told.to_vec()));
    let after =
        AFTER_ENTRY.iter().map(|(lines, told)| (format!("IPCKEY 0x1\n/a:/b:86400:3:exit\n{lines}\n"), told.to_vec()));
    let execs = EXECS.iter().map(|(line, told)| (in_socket_block(&format!("PS_EXEC {line}")), told.to_vec()));
    parameters.chain(entries).chain(after).chain(execs).collect()
}

#[test]
fn mistakes_are_told_in_their_places() {
    for (text, expected) in cases() {
        let mut expected = expected;
        let mut told = told(text.as_bytes());
        told.sort();
        expected.sort_unstable();
        assert_eq!(told, expected, "in:\n{text}");
    }
}

#[test]
fn there_is_an_example_of_every_error() {
    let more = ["\u{feff}A 1\n", "IPCKEY 0x123456789\n", &in_socket_block("PS_INIT x"), "IPCKEY 0x1\r\n"];
    let texts = cases().into_iter().map(|(text, _)| text).chain(more.map(str::to_owned));
    let seen: BTreeSet<_> = texts
        .flat_map(|text| read(text.as_bytes(), UnknownOptions::Refuse).problems)
        .map(|problem| problem.check)
        .collect();
    // That one takes a host, and is looked for there.
    let errors =
        Check::ALL.iter().filter(|check| check.severity() == Severity::Error && **check != Check::UnresolvedHost);
    let missing: Vec<_> = errors.filter(|check| !seen.contains(check)).collect();
    assert_eq!(missing, [&Check::NulByte; 0]);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_in_order() {
    let text = b"MONITOR_INTERVAL 0\n/a:b:1:1:stop\n\n/c:/d:1:1:exit:x=y\n_bi_socket {\n}\n";
    assert_eq!(
        told(text),
        [
            "1:1 missing-parameter",
            "1:18 invalid-value",
            "2:4 relative-path",
            "2:10 unknown-action",
            "4:16 unknown-option",
            "5:1 missing-field",
        ]
    );
}

#[test]
fn a_file_in_utf_16_is_told_as_such() {
    let text: Vec<u8> = "\u{feff}IPCKEY 0x1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let Reading { problems, .. } = read(&text, UnknownOptions::Refuse);
    assert!(problems.iter().any(|problem| problem.message.contains("UTF-16")), "{problems:#?}");
    assert!(problems.len() <= 3, "{problems:#?}");
}

#[test]
fn misspelt_words_get_a_suggestion() {
    for (text, suggestion) in [
        ("MONITOR_INTERVALL 1", "did you mean `MONITOR_INTERVAL`?"),
        ("/a:/b:1:1:shutdwon", "did you mean `shutdown`?"),
        ("/a:/b:1:1:exit:incude_strings=a", "did you mean `include_strings`?"),
        ("/a:/b:1:1:exit\n_bi_soket {\n}", "did you mean `_bi_socket`?"),
        ("/a:/b:1:1:exit\n#@ alow=no-match", "did you mean `allow`?"),
        ("/a:/b:1:1:exit\n#@ allow=no-mach", "did you mean `no-match`?"),
    ] {
        let Reading { problems, .. } = read(format!("IPCKEY 0x1\n{text}\n").as_bytes(), UnknownOptions::Refuse);
        let hints: Vec<_> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        assert!(hints.contains(&suggestion), "{text}: {hints:?}");
    }
}

#[test]
fn lints_are_silenced_for_the_file_or_for_one_entry() {
    let entries = "/a:/b:86400:3:exit:\n#@ allow=empty-field\n/c:/b:86400:3:exit:\n";
    assert_eq!(told(format!("IPCKEY 0x1\n{entries}").as_bytes()), ["4:20 empty-field"]);
    assert_eq!(told(format!("#@ allow=empty-field\nIPCKEY 0x1\n{entries}").as_bytes()), [""; 0]);
}

#[test]
fn options_that_are_not_known_can_be_kept() {
    let text = b"IPCKEY 0x1\n/a:/b:86400:3:exit:new_option=a\n";
    let Reading { pfile, problems, .. } = read(text, UnknownOptions::Keep);
    let severities: Vec<_> = problems.iter().map(|problem| (problem.check, problem.severity)).collect();
    assert_eq!(severities, [(Check::UnknownOption, Severity::Warning)]);
    let printed = watcher_core::pfile::print(&pfile.unwrap());
    assert!(String::from_utf8(printed).unwrap().contains(":exit:new_option=a\n"));
}

#[test]
fn an_ipv6_address_in_place_of_the_host_is_told_as_such() {
    let library = "DLL:/x/lib_bi_webserv.so:DIRECT:-";
    for (count, host, told) in [
        (3, "::1", true),
        (5, "::1", true),
        (6, "2001:db8::1", true),
        (3, "[::1]", true),
        (2, "localhost", false),
        (3, "", false),
    ] {
        let text = format!(
            "IPCKEY 0x1\n/a:/b:0:3:exit\n_bi_webserv {{\nPS_INIT {library}:-:-:0\nPS_EXEC \
             {library}:60:0:{count}:600:80:{host}\nPS_ACTION {library}:-:1:0\nPS_QUIT {library}:-:-:0\n}}\n"
        );
        let reading = read(text.as_bytes(), UnknownOptions::Refuse);
        let hint = reading.problems.iter().find_map(|problem| problem.hint.as_ref()).unwrap();
        assert_eq!(hint.starts_with("an IPv6 address cannot stand here"), told, "{host}: {hint}");
    }
}
