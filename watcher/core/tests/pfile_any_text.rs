//! What holds for every text: it is read in linear time, without a panic, and what was read can be printed and read
//! again. The fuzz target in `fuzz/` asks the same of more texts, for longer.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the test has a clock and files; the core has none"
)]

mod pfile_support;

use std::{fs, time::Instant};

use pfile_support::read_and_print;
use proptest::{prelude::*, sample::select};
use watcher_core::pfile::{Reading, UnknownOptions, read};

/// A mebibyte; a quarter of it where nothing is optimised, to keep the test short.
const LARGEST: usize = if cfg!(debug_assertions) { 1 << 18 } else { 1 << 20 };

/// A piece of text that has a meaning somewhere.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "IPCKEY 0x1f",
        "MONITOR_INTERVAL",
        "SHM_DUMP_FILE",
        "/usr/bin/java",
        "/a",
        ":",
        ":",
        ":",
        "exit",
        "continue",
        "86400",
        "3",
        "10",
        "60",
        "include_strings=",
        "exclude_strings=",
        "min_proc_count=",
        "grp_tag=",
        "clear_cmd=/c",
        "&",
        " ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "#",
        "#@ ",
        "allow=",
        "no-match",
        "header=",
        "\"",
        "\\",
        "=",
        "_bi_socket",
        "_bi_webserv {",
        "_bi_websevs{",
        "}",
        "{",
        "PS_INIT ",
        "PS_EXEC ",
        "PS_ACTION ",
        "PS_QUIT ",
        "DLL:",
        "/x/lib_bi_socket.so",
        "/x/lib_bi_websevr.so",
        "DIRECT",
        "-",
        "-:-:-:0",
        "0",
        "1",
        "2",
        "<",
        "\u{feff}",
        "\0",
    ]);
    prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

fn word() -> impl Strategy<Value = String> {
    "[ -9;-~é&]{0,12}".prop_filter("a comment mark is no word", |word: &String| !word.contains('\n'))
}

fn option() -> impl Strategy<Value = String> {
    prop_oneof![
        word().prop_map(|word| format!("include_strings={word}")),
        word().prop_map(|word| format!("exclude_strings={word}")),
        any::<u32>().prop_map(|count| format!("max_proc_count={count}")),
        "[a-z]{1,5}".prop_map(|tag| format!("grp_tag={tag}")),
        word().prop_map(|path| format!("clear_cmd=/{path}")),
        any::<u16>().prop_map(|seconds| format!("restart_waittime={seconds}")),
        Just(String::new()),
    ]
}

fn extension() -> impl Strategy<Value = String> {
    let quoted = |text: String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    prop_oneof![
        Just("allow=no-match,script-missing".to_owned()),
        Just("verify=on".to_owned()),
        Just("status=200,300-399".to_owned()),
        "[ -~]{1,9}".prop_map(move |text| format!("match={}", quoted(text))),
        "[ -~]{0,9}".prop_map(move |text| format!("header={}", quoted(format!("X-A:{text}")))),
        "[!#-~]{1,9}".prop_map(|text| format!("match_header={text}")),
    ]
}

fn block() -> impl Strategy<Value = String> {
    let kinds =
        select(vec![("_bi_socket", "socket", 2_usize), ("_bi_webserv", "webserv", 3), ("_bi_websevs", "websevs", 5)]);
    let middles = select(vec!["-:-:-", "-::-", "-:-", "-", "", "-:-:1", "-:0", "::1"]);
    (kinds, middles, 10_u32..99, 0_u32..999, 1_u16.., any::<bool>(), select(vec!["-", "0", "1"])).prop_map(
        |((name, library, arguments), middle, interval, more, port, wrapped, error)| {
            let library = format!("DLL:/l/lib_bi_{library}.so:");
            let arguments: Vec<_> =
                [(interval + more).to_string(), port.to_string(), "host".into(), "5".into(), "/p".into()]
                    .into_iter()
                    .take(arguments)
                    .collect();
            let broken = if wrapped { "\n   " } else { "" };
            let fixed = if middle.contains(['0', '1']) { "-:-:-" } else { middle };
            format!(
                "{name} {{\n PS_INIT {library}DIRECT:{fixed}:0\n PS_EXEC {library}{broken}DIRECT:-:{interval}:{error}:{}:{}\n \
                 PS_ACTION {library}DIRECT:{middle}:0\n PS_QUIT {library}DIRECT:{fixed}:0\n}}",
                arguments.len(),
                arguments.join(":")
            )
        },
    )
}

fn entry() -> impl Strategy<Value = String> {
    let actions = select(vec!["exit", "Continue", "SHUTDOWN"]);
    let options = proptest::collection::vec(option(), 0..3);
    let extensions = proptest::collection::vec(extension(), 0..3);
    let blocks = proptest::collection::vec(block(), 0..3);
    (word(), any::<u32>(), any::<u8>(), actions, options, extensions, blocks).prop_map(
        |(process, grace, retries, action, options, extensions, blocks)| {
            let mut text = format!("/{process}:/s:{grace}:{retries}:{action}");
            options.iter().for_each(|option| text.extend([":", option]));
            extensions.iter().for_each(|extension| text.extend(["\n#@ ", extension]));
            blocks.iter().for_each(|block| text.extend(["\n", block]));
            text
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        read_and_print(&text);
    }

    #[test]
    fn any_text_made_of_meaningful_pieces_is_read(tokens in proptest::collection::vec(token(), 0..200)) {
        read_and_print(&tokens.concat());
    }

    #[test]
    fn what_is_printed_is_read_as_the_same(entries in proptest::collection::vec(entry(), 0..4)) {
        let text = format!("IPCKEY 0x1F\n{}\n", entries.join("\n"));
        read_and_print(text.as_bytes());
    }

    #[test]
    fn a_byte_that_is_lost_or_changed_does_no_harm(
        entries in proptest::collection::vec(entry(), 1..3), at in any::<prop::sample::Index>(), byte in any::<Option<u8>>()
    ) {
        let mut text = format!("IPCKEY 0x1\n{}\n", entries.join("\n")).into_bytes();
        let at = at.index(text.len());
        text.splice(at..=at, byte);
        read_and_print(&text);
    }
}

/// Most of what is generated must be valid, or the round trip is tested on nothing.
#[test]
fn generated_files_mostly_load() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let loads = (0..200).filter(|_| {
        let entry = entry().new_tree(&mut runner).unwrap().current();
        read(format!("IPCKEY 0x1\n{entry}\n").as_bytes(), UnknownOptions::Refuse).pfile.is_some()
    });
    let loads = loads.count();
    assert!(loads > 100, "{loads} of 200 load");
}

/// Texts of 1 MiB that would take long if anything were done once for each line, field or mistake *and* each byte.
#[test]
fn a_mebibyte_of_anything_takes_linear_time() {
    let repeat = |piece: &str| piece.bytes().cycle().take(LARGEST).collect::<Vec<_>>();
    let after = |head: &str, piece: &str| [head.as_bytes(), &repeat(piece)].concat();
    let entry = "IPCKEY 0x1\n/a:/b:1:1:exit";
    let texts = [
        repeat("\n"),
        repeat("\0"),
        repeat("\0\n"),
        repeat(":"),
        repeat("a"),
        repeat("x\n"),
        repeat("#@ a=b\n"),
        repeat("/a\n"),
        repeat("/:::::\n"),
        repeat("_bi_socket{\n"),
        repeat("}\n"),
        repeat("# :\n <\n"),
        repeat("\r\n"),
        after(entry, ":"),
        after(entry, ":x=y"),
        after(entry, ":grp_tag=a"),
        after(&format!("{entry}:include_strings="), "&"),
        after(entry, "\n#@ verify=on"),
        after(entry, "\n#@ header=A:b"),
        after(&format!("{entry}\n#@ "), "verify=on "),
        after(&format!("{entry}\n#@ allow="), "no-mach,"),
        after(&format!("{entry}\n#@ match="), "\""),
        after(&format!("{entry}\n_bi_socket{{\n"), "PS_INIT\n"),
        after(&format!("{entry}\n_bi_socket{{\nPS_INIT "), "x:\n"),
        after(&format!("{entry}\n"), "_bi_socket{\n}\n"),
    ];
    for text in texts {
        let start = Instant::now();
        read_and_print(&text);
        let took = start.elapsed();
        // Linear takes a fraction of a second; whatever is quadratic takes minutes.
        assert!(took.as_secs() < 10, "{took:?} for {:?}…", String::from_utf8_lossy(text.get(..60).unwrap()));
    }
}

#[test]
fn a_hundred_thousand_entries_load() {
    let mut text = b"IPCKEY 0x1\n".to_vec();
    for number in 0..100_000 {
        let line = format!("/usr/bin/java:/opt/bin/start_{number}.sh:86400:3:exit:include_strings=app&node{number}\n");
        text.extend_from_slice(line.as_bytes());
    }
    let start = Instant::now();
    let Reading { pfile, problems, .. } = read(&text, UnknownOptions::Refuse);
    let took = start.elapsed();
    assert_eq!((pfile.map(|pfile| pfile.entries.len()), problems.len()), (Some(100_000), 0));
    if !cfg!(debug_assertions) {
        assert!(took.as_secs_f64() < 1.0, "{took:?}");
    }
}

#[test]
fn what_the_fuzzer_starts_from_is_read() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/pfile");
    let texts: Vec<_> = fs::read_dir(corpus).unwrap().map(|item| fs::read(item.unwrap().path()).unwrap()).collect();
    let loads = texts.iter().filter(|text| read_and_print(text).is_some()).count();
    assert!(loads >= 8 && loads < texts.len(), "{loads} of {} load", texts.len());
}
