//! Reads the log of a guest's console: what became of each group.

use serde_json::Value;

use super::rows::{Guest, Program, Task};

/// What became of a group.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) guest: String,
    pub(super) group: &'static str,
    pub(super) tier: &'static str,
    /// For people, either way.
    pub(super) result: Result<String, String>,
    /// What the console showed, when it failed.
    pub(super) tail: Vec<String>,
}

/// As many lines of the log are shown of a failure.
const TAIL: usize = 40;

/// What became of each group of a guest. One that is not in the log has failed.
pub(super) fn read(guest: &Guest, log: &[u8]) -> Vec<Outcome> {
    let log = String::from_utf8_lossy(log).replace('\r', "");
    let lines: Vec<_> = log.lines().collect();
    let outcome = |task: &Task| {
        let (name, tier) = (task.group.name, task.tier());
        let mark = |word: &str| format!("@@ {word} {name} {tier}");
        let begin = lines.iter().position(|line| *line == mark("begin"));
        let end = lines.iter().position(|line| line.starts_with(&format!("{} ", mark("end"))));
        let (shown, result) = match (begin, end) {
            (Some(begin), Some(end)) => {
                let shown = lines.get(begin + 1..end).unwrap_or_default();
                let how = lines.get(end).and_then(|line| line.strip_prefix(&mark("end"))).unwrap_or_default().trim();
                let (seconds, how) = how.split_once(' ').unwrap_or(("?", how));
                let judged = judge(guest, task, shown, how);
                (shown, judged.map(|text| format!("{text}, {seconds} s")))
            }
            (Some(begin), None) => {
                (lines.get(begin + 1..).unwrap_or_default(), Err("the guest ended in the middle of it".to_owned()))
            }
            (None, _) => (lines.as_slice(), Err("the guest did not come so far".to_owned())),
        };
        let tail = match &result {
            Ok(_) => Vec::new(),
            Err(_) => shown.iter().skip(shown.len().saturating_sub(TAIL)).map(ToString::to_string).collect(),
        };
        Outcome { guest: guest.name(), group: name, tier, result, tail }
    };
    guest.tasks.iter().map(outcome).collect()
}

fn judge(guest: &Guest, task: &Task, shown: &[&str], how: &str) -> Result<String, String> {
    match task.group.program {
        Program::Doctor => diagnosis(guest, shown),
        Program::Kernel | Program::EndToEnd => tests(shown, how),
    }
}

/// What the test harness says at its end, and names of what failed.
fn tests(shown: &[&str], how: &str) -> Result<String, String> {
    let Some(sum) = shown.iter().rev().find_map(|line| line.split_once("test result: ")) else {
        return Err(format!("it did not come to its end: {how}"));
    };
    let count = |word: &str| {
        let before = sum.1.split(word).next().unwrap_or_default();
        before.split_whitespace().last().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default()
    };
    let (passed, failed) = (count(" passed"), count(" failed"));
    if how == "exit 0" && failed == 0 && passed > 0 {
        return Ok(format!("{passed} passed"));
    }
    if failed == 0 {
        return Err(format!("{passed} passed, {how}"));
    }
    // The list of names comes after all that they said.
    let list = shown.iter().rposition(|line| *line == "failures:").unwrap_or(shown.len());
    let names = shown.iter().skip(list + 1).take_while(|line| line.starts_with("    ")).map(|line| line.trim());
    Err(format!("{failed} of {} failed: {}", passed + failed, names.collect::<Vec<_>>().join(", ")))
}

/// What `watcher doctor --json` says, against what is known of the host.
fn diagnosis(guest: &Guest, shown: &[&str]) -> Result<String, String> {
    let text = shown.join("\n");
    let json = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from..=to)).unwrap_or_default();
    let report: Value = serde_json::from_str(json).map_err(|error| format!("doctor says no JSON: {error}"))?;
    let tier = report["tiers"].as_array().and_then(|tiers| tiers.iter().find(|tier| tier["name"] == "ebpf"));
    let tier = tier.ok_or("doctor says nothing of the tier ebpf")?;
    let reason = tier["reason"].as_str().unwrap_or_default();
    let auto = report["auto"].as_str().unwrap_or("nothing");
    match guest.host.refusal() {
        None if tier["works"] == true && auto == "ebpf" => {
            let lacking: Vec<_> =
                ["explains_reason", "sockets_reason"].iter().filter_map(|what| report[what].as_str()).collect();
            if lacking.is_empty() { Ok("ebpf with all it has".to_owned()) } else { Err(lacking.join("; ")) }
        }
        None => Err(format!("ebpf does not work: {reason}")),
        Some(wanted) if tier["works"] == false && reason.contains(wanted) && auto != "ebpf" => {
            Ok(format!("{auto}, since {reason}"))
        }
        Some(wanted) => Err(format!("{auto}; ebpf is refused not with {wanted:?} but with {reason:?}")),
    }
}
