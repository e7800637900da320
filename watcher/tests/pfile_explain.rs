//! `watcher explain` on the command line.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;

use pfile_support::{Folder, sample, watcher};

#[test]
fn matches_and_near_misses_are_shown_with_their_reasons() {
    let folder = Folder::new();
    let [first, second] = [&["600", "600.1"], &["600", "600.2"]].map(|words| folder.service("explained", words));
    let elsewhere = Folder::new();
    let other = elsewhere.service("explained", &["600", "600.1"]);
    let daemon = folder.path("explained").display().to_string();
    let text = format!(
        "IPCKEY 0x1\n{daemon}:/s:86400:3:exit:include_strings=600&.1\n{daemon}:/s:86400:3:exit:exclude_strings=600\n"
    );
    let file = folder.file("a.pfile", text);

    let ran = watcher(["explain", &file, "1"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = format!(
        "entry 1: {daemon}, include_strings=600&.1\n  /s brings it back; after 3 restarts within 86400 s: exit\n  \
         watched {}: {daemon} 600 600.1\n      its first word is the path; it contains `600`, `.1`\n  nearly {}: \
         {daemon} 600 600.2\n      it lacks `.1`\n",
        first.pid(),
        second.pid()
    );
    assert!(ran.out.starts_with(&expected), "{}\nis not\n{expected}", ran.out);
    let near = format!(
        "  nearly {}: {d} 600 600.1\n      it is {d}, another path",
        other.pid(),
        d = elsewhere.path("explained").display()
    );
    assert!(ran.out.contains(&near), "{}", ran.out);

    let ran = watcher(["explain", &file, "--json"]);
    assert_eq!(ran.code, Some(1), "the second entry matches nothing: {ran:?}");
    let report = ran.json();
    let entry = &report["entries"][0];
    assert_eq!((&report["schema"], &entry["entry"], &entry["watched"]), (&1.into(), &1.into(), &first.pid().into()));
    assert_eq!(entry["matches"][0]["contains"], serde_json::json!(["600", ".1"]));
    let second_entry = &report["entries"][1];
    assert_eq!(second_entry["watched"], serde_json::Value::Null);
    assert_eq!(second_entry["nearly"][0]["because"], serde_json::json!([{"why": "contains", "what": "600"}]));
}

#[test]
fn a_file_that_does_not_load_and_an_entry_that_is_not_there_are_told_apart() {
    let folder = Folder::new();
    let file = folder.file("bad.pfile", "/a:/b:1:1:stop\n");
    let ran = watcher(["explain", &file]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.lines().any(|line| line.starts_with(&format!("{file}:1:11: error: "))), "{ran:?}");
    assert_eq!(watcher(["explain", &sample("tomcat.pfile"), "2"]).code, Some(2));
    assert_eq!(watcher(["explain", &sample("tomcat.pfile"), "0"]).code, Some(2));
    assert_eq!(watcher(["explain", "/no/such/file"]).code, Some(1));
}

#[test]
fn the_values_of_the_published_samples_are_those_of_the_manual() {
    let values = |name: &str| {
        let report = watcher(["explain", "--json", &sample(name)]).json();
        report["entries"][0]["stall_checks"].as_array().unwrap().clone()
    };
    let wanted = |block: &str, path: Option<&str>, method: Option<&str>| {
        serde_json::json!([{
            "block": block, "interval_s": 60, "retry_over_s": 600, "port": 8080, "host": null, "timeout_s": 10,
            "path": path, "method": method, "headers": [], "status": null, "match": null, "match_header": null,
            "verify": null, "ca": null, "exec_error": 0, "action_error": 1,
        }])
    };
    assert_eq!(serde_json::json!(values("sample_web.pfile")), wanted("_bi_webserv", Some("/"), Some("HEAD")));
    assert_eq!(serde_json::json!(values("sample_socket.pfile")), wanted("_bi_socket", None, None));
    let text = watcher(["explain", &sample("sample_web.pfile")]).out;
    let asked = "600 s in vain: a stall\n      HEAD / within 10 s; any status; EXEC error 0, ACTION error 1\n";
    assert!(text.contains(asked), "{text}");
    let text = watcher(["explain", &sample("sample_socket.pfile")]).out;
    assert!(text.contains("\n      a connection within 10 s; EXEC error 0, ACTION error 1\n"), "{text}");
    let https = values("sample_https.pfile");
    let told = [&https[0]["port"], &https[0]["host"], &https[0]["timeout_s"], &https[0]["path"]];
    assert_eq!(serde_json::json!(told), serde_json::json!([433, "localhost", 5, "/"]));
    let report = watcher(["explain", "--json", &sample("tomcat.pfile")]).json();
    let entry = &report["entries"][0];
    let told = [&entry["process"], &entry["grace_s"], &entry["retries"], &entry["retry_over_act"]];
    assert_eq!(serde_json::json!(told), serde_json::json!(["/usr/bin/java", 86400, 3, "exit"]));
}

#[test]
fn what_is_really_asked_is_shown() {
    let folder = Folder::new();
    let library = "DLL:/x/lib_bi_webservs.so:DIRECT:-";
    let block = format!(
        "_bi_webservs {{\nPS_INIT {library}:-:-:0\nPS_EXEC {library}:30:1:5:600:443:example.org:5:/block\n\
         PS_ACTION {library}:-:0:0\nPS_QUIT {library}:-:-:0\n}}\n"
    );
    let extensions = "#@ path=/health timeout=7 status=200-399,401 match=ready header=\"X: y\" verify=on ca=/x.pem";
    let file = folder.file("a.pfile", format!("IPCKEY 0x1\n/a:/b:0:3:exit\n{extensions}\n{block}"));
    let asked = "      GET /health within 7 s; 1 more header; status 200-399,401; `ready` in the body; certificate checked \
                 against /x.pem; EXEC error 1, ACTION error 0\n";
    let text = watcher(["explain", &file]).out;
    assert!(text.contains(asked), "{text}");
    let check = watcher(["explain", "--json", &file]).json()["entries"][0]["stall_checks"][0].clone();
    let wanted = serde_json::json!({
        "block": "_bi_webservs", "interval_s": 30, "retry_over_s": 600, "port": 443, "host": "example.org",
        "timeout_s": 7, "path": "/health", "method": "GET", "headers": ["X: y"], "status": "200-399,401",
        "match": "ready", "match_header": null, "verify": true, "ca": "/x.pem", "exec_error": 1, "action_error": 0,
    });
    assert_eq!(check, wanted);
}
