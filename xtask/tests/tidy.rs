//! Rules of the house that no compiler checks. `ARCHITECTURE.md` says why they are rules.
#![expect(clippy::expect_used, reason = "a test may fail where it stands")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const PRODUCT: [&str; 5] =
    ["watcher/src", "watcher/core/src", "watcher-ebpf/src", "watcher-ebpf/abi/src", "watcher-ebpf/build/src"];

/// Which rooms of `watcher` may use which: imports point one way.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("sys", &[]),
    ("kernel", &["sys"]),
    ("sources", &["kernel", "sys"]),
    ("executor", &["kernel", "sys"]),
    ("control", &["sys"]),
    ("engine", &["control", "sources", "executor", "kernel", "sys"]),
    ("start", &["control", "engine", "sources", "executor", "kernel", "sys"]),
    ("telemetry", &[]),
    ("check", &["executor"]),
    ("doctor", &["start", "kernel", "sys"]),
    ("explain", &["sys"]),
    ("new", &["executor", "sys"]),
    ("sockets", &["sys"]),
    (
        "cli",
        &[
            "check",
            "control",
            "doctor",
            "explain",
            "new",
            "sockets",
            "start",
            "engine",
            "sources",
            "executor",
            "kernel",
            "sys",
            "telemetry",
        ],
    ),
    ("lib", &[]),
];

#[test]
fn imports_point_one_way() {
    let mut offences = Vec::new();
    for (path, text) in sources(&["watcher/src"]) {
        let below = path.strip_prefix("watcher/src/").expect("below");
        let room = below.split(['/', '.']).next().expect("a room");
        if room == "main" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            offences.push(format!("{path}: the room {room} is not in the table of this test"));
            continue;
        };
        let used = MAY_USE.iter().map(|(name, _)| *name).filter(|name| *name != room && uses(&text, name));
        offences.extend(used.filter(|name| !allowed.contains(name)).map(|name| format!("{path} uses crate::{name}")));
    }
    assert_none(&offences, "imports point one way: cli → start → engine → sources, executor → kernel → sys");
}

#[test]
fn the_import_rule_sees_both_forms_of_an_import() {
    assert!(uses("let now = crate::sys::clock::now();", "sys"));
    assert!(uses("use crate::{\n    kernel::{Ring, Sizes},\n    sys::clock,\n};", "sys"));
    assert!(!uses("use crate::{\n    kernel::{sys::Ring, Sizes},\n};", "sys"));
    assert!(!uses("use crate::system::clock;", "sys"));
}

#[test]
fn the_core_reaches_nothing() {
    let manifest = fs::read_to_string(root().join("watcher/core/Cargo.toml")).expect("the core has a manifest");
    for crate_name in ["tokio", "rustix", "libc", "nix", "aya", "watcher-abi"] {
        assert!(!manifest.contains(crate_name), "the core may not depend on {crate_name}");
    }
    let world = ["std::fs", "std::net", "std::process", "std::thread", "std::time::", "std::env", "HashMap", "HashSet"];
    assert_none(&lines_with(&["watcher/core/src"], &world, &[]), "the core decides and never does");
}

#[test]
fn the_shared_layouts_have_no_dependency() {
    let manifest = fs::read_to_string(root().join("watcher-ebpf/abi/Cargo.toml")).expect("a manifest");
    assert!(!manifest.contains("dependencies"), "watcher-abi is imported by both sides and brings nothing along");
    let allocating = ["std::", "alloc::", "Vec<", "String"];
    assert_none(&lines_with(&["watcher-ebpf/abi/src"], &allocating, &[]), "nothing allocates there");
}

#[test]
fn only_the_engine_owns_the_machine() {
    let offences = lines_with(&["watcher/src"], &[".step("], &["watcher/src/engine"]);
    assert_none(&offences, "only the engine steps the machine");
    assert_none(&lines_with(&PRODUCT, &["Mutex", "RwLock"], &[]), "one thread runs everything: nothing to lock");
}

#[test]
fn the_wall_clock_stamps_and_decides_nothing() {
    // `date -s` must change nothing but what is printed. Whoever is listed here prints, or hands on what others print.
    let stamps = [
        "watcher/src/cli/watch.rs",
        "watcher/src/control/metrics/page.rs",
        "watcher/src/control/status.rs",
        "watcher/src/control/view.rs",
        "watcher/src/engine/patrol/post.rs",
        "watcher/src/engine/patrol/mod.rs",
        "watcher/src/executor/log/mod.rs",
        // For how many days a certificate is valid: that is written in wall time. What comes of it is a number.
        "watcher/src/executor/probe/tls/certificate.rs",
        // Reboots are counted across boots, of which no other clock knows. What it may be wrong about is the core's concern.
        "watcher/src/executor/reboots/mod.rs",
        "watcher/src/executor/snapshot.rs",
        "watcher/src/sys/clock.rs",
    ];
    let asking = ["clock::wall", "clock::unix_seconds", "unix_seconds(", "SystemTime", "UNIX_EPOCH"];
    let offences = lines_with(&["watcher/src", "watcher/core/src"], &asking, &stamps);
    let offences = offences.into_iter().filter(|line| !line.contains("fn time(unix_seconds: f64)"));
    assert_none(&offences.collect::<Vec<_>>(), "only the monotonic clock decides");
    let clock = fs::read_to_string(root().join("watcher/src/sys/clock.rs")).expect("the clocks");
    assert!(
        clock.contains("pub fn wall(") && clock.contains("pub fn unix_seconds("),
        "they have moved: list them anew"
    );
}

#[test]
fn every_queue_is_bounded() {
    assert_none(&lines_with(&PRODUCT, &["unbounded_channel", "mpsc::channel()"], &[]), "every queue is bounded");
}

#[test]
fn no_bare_pid_crosses_a_room() {
    let bare = ["pid: u32)", "pid: i32)", "pid: u32,", "pid: i32,"];
    // The kernel's own helpers speak of numbers; so do printed forms.
    let allowed = ["watcher-ebpf", "watcher/src/cli"];
    let offences = lines_with(&PRODUCT, &bare, &allowed).into_iter().filter(|line| line.contains("fn "));
    assert_none(&offences.collect::<Vec<_>>(), "a pid alone names no process: pass a ProcId, or at least a Pid");
}

#[test]
fn only_one_file_prints() {
    let printing = ["io::stdout()", "println!", "print!("];
    let printed = lines_with(&["watcher/src"], &printing, &["watcher/src/cli/output.rs"]);
    let printed: Vec<_> = printed.into_iter().filter(|line| !line.contains("/tests.rs:")).collect();
    assert_none(&printed, "only cli/output.rs prints");
}

#[test]
fn documents_are_finished() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "BENCH.md",
        "CONTRIBUTING.md",
        "docs/auto-reboot.md",
        "docs/clp.md",
        "docs/cluster.md",
        "docs/install.md",
        "docs/json.md",
        "docs/metrics.md",
        "docs/padmin.md",
        "docs/pcheck.md",
        "docs/pfile.md",
        "docs/privileges.md",
        "docs/probe.md",
        "docs/status.md",
        "rules/README.md",
        "rules/cluster/README.md",
        "rules/monitoring/README.md",
    ] {
        let text = fs::read_to_string(root().join(document)).expect("the document is there");
        // The name of one of them is no placeholder.
        let text = text.replace("BENCH.md", "");
        for placeholder in ["BENCH", "TODO", "TBD", "XXX"] {
            assert!(!text.contains(placeholder), "{document} still says {placeholder}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = everything().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path);
    assert_none(&silent.collect::<Vec<_>>(), "the first line says what the file is for");
}

#[test]
fn files_are_small_enough_to_be_read() {
    const LIMIT: usize = 400;
    let large = everything().into_iter().filter(|(_, text)| text.lines().count() > LIMIT);
    let large: Vec<_> = large.map(|(path, text)| format!("{path}: {} lines", text.lines().count())).collect();
    assert_none(&large, "at 400 lines look twice, and split");
}

#[test]
fn the_names_that_user_space_looks_up_are_the_names_of_the_maps() {
    let maps = fs::read_to_string(root().join("watcher-ebpf/src/maps.rs")).expect("the maps");
    let main = fs::read_to_string(root().join("watcher-ebpf/src/main.rs")).expect("the programs");
    let names = fs::read_to_string(root().join("watcher-ebpf/abi/src/lib.rs")).expect("the names");
    let constants = names.lines().filter(|line| line.trim().starts_with("pub const ") && line.contains("&str"));
    let names: Vec<_> = constants.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(names.len() >= 7, "the names have moved: look for them where they are now");
    for name in names {
        let known = [format!("pub static {name}:"), format!("pub fn {name}("), format!("tracepoint = \"{name}\"")];
        assert!(known.iter().any(|known| maps.contains(known) || main.contains(known)), "{name} is nowhere");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies inside the workspace").to_owned()
}

fn everything() -> Vec<(String, String)> {
    sources(&["tests", "watcher", "watcher-ebpf", "xtask"])
}

/// Every Rust file under these folders, with its path below the root.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("readable").path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                left.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((path, fs::read_to_string(entry).expect("text")));
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {folders:?}");
    found
}

/// Lines that hold one of these texts, comments and unit tests aside.
fn lines_with(folders: &[&str], texts: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in sources(folders) {
        if allowed.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if texts.iter().any(|text| code.contains(text)) {
                offences.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    offences
}

/// Whether a file imports from a room, in either form: `crate::room` or `crate::{…, room…}`.
fn uses(text: &str, room: &str) -> bool {
    let direct = format!("crate::{room}");
    let mut directly = text.match_indices(&direct).map(|(at, _)| text.get(at + direct.len()..).unwrap_or_default());
    let in_a_group = text.split("crate::{").skip(1).any(|rest| top_names(rest).any(|name| name == room));
    in_a_group || directly.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

/// First path segments of the outermost names in an import group, given the text after its opening brace.
fn top_names(rest: &str) -> impl Iterator<Item = &str> {
    let group = rest.split("};").next().unwrap_or_default();
    let mut depth = 0_usize;
    group.split_inclusive(['{', '}', ',']).filter_map(move |part| {
        let at = depth;
        depth += part.matches('{').count();
        depth = depth.saturating_sub(part.matches('}').count());
        let name = part.trim_matches(['{', '}', ',', '\n', ' ']).split("::").next();
        name.filter(|_| at == 0)
    })
}

fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}
