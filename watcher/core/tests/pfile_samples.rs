//! The published samples load, damage and all, and mean what the manual's tables say.

use watcher_core::pfile::{
    AfterFailedKill, AfterStall, Entry, Pfile, Problem, Reading, RetryOver, Seconds, StallCheck, StallKind,
    UnknownOptions, print, read,
};

fn load(text: &[u8]) -> (Pfile, Vec<Problem>) {
    let Reading { pfile, problems, .. } = read(text, UnknownOptions::Refuse);
    (pfile.unwrap_or_else(|| panic!("{problems:#?}")), problems)
}

fn names(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.check.name()).collect()
}

fn only(pfile: &Pfile) -> &Entry {
    let [entry] = pfile.entries.as_slice() else { panic!("one entry is wanted: {pfile:?}") };
    &entry.value
}

fn only_check(pfile: &Pfile) -> &StallCheck {
    let [check] = only(pfile).stall_checks.as_slice() else { panic!("one block is wanted: {pfile:?}") };
    &check.value
}

#[test]
fn the_tomcat_pfile() {
    let (pfile, problems) = load(include_bytes!("data/tomcat.pfile"));
    assert_eq!(names(&problems), [""; 0]);
    assert_eq!(pfile.param.ipc_key.value.number(), 0x1f00_0001);
    assert_eq!(pfile.param.ipc_key.value.written().to_string(), "0x1f000001");
    assert_eq!(pfile.param.msg_check_interval().seconds(), 5);
    assert_eq!(pfile.param.monitor_interval().seconds(), 10);
    let dump = pfile.param.dump_file.as_ref().map(|path| path.value.to_string());
    assert_eq!(dump.as_deref(), Some("/var/opt/HA/PS/conf/bin/pfile_tomcat.dump"));
    let entry = only(&pfile);
    assert_eq!(entry.process.value.to_string(), "/usr/bin/java");
    assert_eq!(entry.script.value.to_string(), "/var/opt/HA/PS/conf/bin/tomcat_start.sh");
    assert_eq!((entry.grace.value, entry.retries.value), (Seconds(86_400), 3));
    assert_eq!(entry.retry_over.value.action(), RetryOver::Exit);
    let strings = entry.include_strings().unwrap();
    assert_eq!(strings.written().to_string(), "apache&tomcat");
    assert_eq!(strings.words().collect::<Vec<_>>(), [b"apache", b"tomcat"]);
}

#[test]
fn the_web_sample() {
    let (pfile, problems) = load(include_bytes!("data/sample_web.pfile"));
    assert_eq!(names(&problems), ["damaged-line", "wrapped-line", "damaged-line", "damaged-line"]);
    let check = only_check(&pfile);
    assert_eq!(check.kind(), StallKind::Web);
    assert_eq!((check.timing().interval(), check.timing().retry_over()), (Seconds(60), Seconds(600)));
    assert_eq!((check.target().port.number(), check.target().host.as_ref()), (8080, None));
    assert_eq!((check.after_stall(), check.after_failed_kill()), (AfterStall::GoOn, AfterFailedKill::RetryOver));
}

#[test]
fn the_https_sample() {
    let (pfile, problems) = load(include_bytes!("data/sample_https.pfile"));
    assert_eq!(names(&problems), ["wrapped-comment", "damaged-line", "damaged-line", "damaged-line"]);
    let check = only_check(&pfile);
    assert_eq!(check.kind(), StallKind::WebTls);
    assert_eq!((check.timing().interval(), check.timing().retry_over()), (Seconds(60), Seconds(600)));
    let target = check.target();
    assert_eq!(target.port.number(), 433);
    assert_eq!(target.host.as_ref().map(|host| host.value.to_string()).as_deref(), Some("localhost"));
    assert_eq!(target.timeout, Some(Seconds(5)));
    assert_eq!(target.path.as_ref().map(ToString::to_string).as_deref(), Some("/"));
    assert_eq!((check.after_stall(), check.after_failed_kill()), (AfterStall::GoOn, AfterFailedKill::RetryOver));
}

#[test]
fn the_socket_sample() {
    let (pfile, problems) = load(include_bytes!("data/sample_socket.pfile"));
    assert_eq!(names(&problems), ["damaged-line", "wrapped-line", "damaged-line"]);
    let check = only_check(&pfile);
    assert_eq!(check.kind(), StallKind::Socket);
    assert_eq!((check.timing().interval(), check.timing().retry_over()), (Seconds(60), Seconds(600)));
    assert_eq!(check.target().port.number(), 8080);
    assert_eq!((check.after_stall(), check.after_failed_kill()), (AfterStall::GoOn, AfterFailedKill::RetryOver));
}

#[test]
fn the_misspelt_names_of_the_manual_are_taken_for_what_they_mean() {
    let (pfile, problems) = load(include_bytes!("data/misspelt.pfile"));
    let kinds: Vec<_> = only(&pfile).stall_checks.iter().map(|check| check.value.kind()).collect();
    assert_eq!(kinds, [StallKind::Web, StallKind::WebTls]);
    let names = names(&problems);
    assert_eq!(names.iter().filter(|name| **name == "misspelt-block").count(), 2);
    assert_eq!(names.iter().filter(|name| **name == "misspelt-library").count(), 8);
}

#[test]
fn comments_may_be_in_any_encoding() {
    for text in [&include_bytes!("data/comments_shift_jis.pfile")[..], include_bytes!("data/comments_euc_jp.pfile")] {
        assert!(str::from_utf8(text).is_err());
        let (pfile, problems) = load(text);
        assert_eq!((pfile.entries.len(), problems), (1, Vec::new()));
    }
}

#[test]
fn a_file_from_windows_loads_with_warnings_and_says_the_same() {
    let (windows, problems) = load(include_bytes!("data/windows.pfile"));
    assert_eq!(names(&problems), ["byte-order-mark", "crlf"]);
    assert_eq!(windows, load(include_bytes!("data/tomcat.pfile")).0);
}

#[test]
fn what_is_printed_of_a_sample_reads_the_same_and_without_a_warning() {
    let samples = [
        &include_bytes!("data/tomcat.pfile")[..],
        include_bytes!("data/sample_web.pfile"),
        include_bytes!("data/sample_https.pfile"),
        include_bytes!("data/sample_socket.pfile"),
        include_bytes!("data/misspelt.pfile"),
    ];
    for sample in samples {
        let (pfile, _) = load(sample);
        let (again, problems) = load(&print(&pfile));
        assert_eq!((again, problems), (pfile, Vec::new()));
    }
}
