//! `BENCH.md`: tables, machine facts, versions, and how to repeat.

use std::fmt::Write as _;

use super::{
    facts::Facts,
    figures::{Half, Measured, Outcome, brief, quantile_ms},
    goals,
    plan::{Cell, Plan, Tool, Windows},
    plot::{self, Line},
    sections::Section,
};

/// The first line of a report that has everything.
const FULL: &str = "# Figures beside peers";

/// From this load on a machine is not idle.
const BUSY: f64 = 1.0;

/// The first line of any other.
const PARTIAL: &str = "# Figures of a partial run: they show that it works, and little else";

pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
    pub(super) cells: &'a [(Cell, Outcome)],
    pub(super) sections: &'a [(Section, String)],
    /// Cells that the bench has failed to measure.
    pub(super) failed: &'a [(Cell, String)],
}

/// Whether a report is one of a full run.
pub(super) fn is_full(text: &str) -> bool {
    text.lines().next() == Some(FULL)
}

impl Report<'_> {
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        goals::table(&mut out, self);
        for size in &self.plan.sizes {
            for noisy in [false, true] {
                self.table(&mut out, *size, noisy);
            }
        }
        self.reasons(&mut out);
        self.pictures(&mut out);
        for (section, text) in self.sections {
            let words = section.words.join(" ");
            let _written = writeln!(
                out,
                "# {}\n\nAs `{} {words}` prints it.\n\n{}",
                capital(section.title),
                section.program,
                text.trim()
            );
            out.push('\n');
        }
        // One blank line, never two.
        while out.contains("\n\n\n") {
            out = out.replace("\n\n\n", "\n\n");
        }
        out
    }

    fn head(&self, out: &mut String) {
        let Windows { warm_up, idle, kills, patience, noise } = self.plan.windows;
        let complete = self.plan.is_full() && self.failed.is_empty();
        let _written = writeln!(out, "{}\n", if complete { FULL } else { PARTIAL });
        let command = if self.plan.quick { "cargo xtask bench --quick" } else { "cargo xtask bench" };
        let idleness = if self.facts.load < BUSY {
            "The machine was otherwise idle."
        } else {
            "**The machine was busy with other things, so figures are too high.**"
        };
        let _written = writeln!(
            out,
            "Made by `{command}`, as root; not edited. {idleness} What was measured before with the same programs on the\n\
             same machine is taken over, unless `--fresh` is given; `--tools` and `--sizes` choose. One tool at a time: the workers (a small\n\
             static program) run before the tool does, but for supervisord and s6, which watch children of their own only. After {warm_up} s\n\
             nothing happens for {idle} s: CPU and wake-ups are measured. Then workers die for {kills} s by SIGKILL at random times, three a\n\
             second, the same for all tools; whose start script has not begun after {patience} s is missed. The same again while {noise} short\n\
             processes a second come and go (each is a fork and an exec). Ratios count, not absolute times.\n"
        );
        let _written = writeln!(out, "| machine | |\n| --- | --- |");
        for (what, value) in &self.facts.machine {
            let _written = writeln!(out, "| {what} | {value} |");
        }
        let _written = writeln!(out, "| load before (1 minute) | {:.2} |", self.facts.load);
        let _written = writeln!(out, "\n| tool | version |\n| --- | --- |");
        for (tool, version) in &self.facts.versions {
            let _written = writeln!(out, "| {tool} | {version} |");
        }
        let _written = writeln!(
            out,
            "\nWhat the columns mean. *CPU*: user and system time of the tool and its children, percent of one processor. *Wake-ups*: its\n\
             voluntary context switches. *RSS*, *PSS*: of the tool and its children, in MiB; s6 is a process a worker. *Kernel*: what its own\n\
             BPF programs run, microseconds a second, by the kernel's statistics, which are switched on for those who have programs only:\n\
             watcher's tier ebpf. That time is charged to others, and comes on top of CPU. What the process connector costs whoever exits\n\
             cannot be seen so. *Known*: from the\n\
             kill to the first line that the tool says about it, when that line was read; milliseconds. *Script*: from the kill to the start\n\
             script's first instruction, by its own clock; milliseconds. *Missed*: deaths without a start script, of all.\n"
        );
    }

    fn table(&self, out: &mut String, size: usize, noisy: bool) {
        let real = self.cells.iter().filter(|(cell, _)| cell.size == size).find_map(|(_, outcome)| match outcome {
            Outcome::Done(measured) => measured.noisy.as_ref()?.strangers_a_second,
            Outcome::Cannot { .. } => None,
        });
        let strangers = match (noisy, real) {
            (true, Some(real)) => format!("{real:.0} strangers a second"),
            (true, None) => return,
            (false, _) => "quiet".to_owned(),
        };
        let _written = writeln!(out, "## {size} watched processes, {strangers}\n");
        let _written = writeln!(
            out,
            "| | CPU idle, % | wake-ups/s | RSS | PSS | kernel, µs/s | known p50 | p99 | max | script p50 | p99 | max | missed | ready after, s |"
        );
        let _written = writeln!(out, "| --- |{}", " ---: |".repeat(13));
        for tool in &self.plan.tools {
            let found = self.cells.iter().find(|(cell, _)| cell.size == size && cell.tool.name == tool.name);
            let row = match found {
                Some((_, Outcome::Done(measured))) => {
                    measured.half(noisy).map(|half| figures(tool, measured, half)).ok_or("not measured")
                }
                Some((_, Outcome::Cannot { .. })) => Err("cannot, see below"),
                None => Err("not measured"),
            };
            let row = row.unwrap_or_else(|why| format!("| {} | {why} |{}", tool.title, " |".repeat(12)));
            let _written = writeln!(out, "{row}");
        }
        out.push('\n');
    }

    /// Why cells are empty.
    fn reasons(&self, out: &mut String) {
        let _written = writeln!(out, "## What a tool cannot do\n");
        for (cell, outcome) in self.cells {
            if let Outcome::Cannot { cannot } = outcome {
                let _written = writeln!(out, "- {}, {} processes: {cannot}", cell.tool.title, cell.size);
            }
        }
        for (cell, reason) in self.failed {
            let reason = reason.lines().next().unwrap_or_default();
            let _written =
                writeln!(out, "- {}, {} processes: the bench itself has failed: {reason}", cell.tool.title, cell.size);
        }
        for tool in &self.plan.tools {
            if let Some(note) = note(tool) {
                let _written = writeln!(out, "- {}: {note}", tool.title);
            }
        }
        out.push('\n');
    }

    /// Where pictures lie, and what they show.
    pub(super) fn plots(&self) -> Vec<(String, String)> {
        PICTURES.iter().map(|picture| (picture.path(), self.picture(picture))).collect()
    }

    fn picture(&self, picture: &Picture) -> String {
        let line = |(colour, tool): (usize, &&'static Tool)| {
            let points = self.cells.iter().filter(|(cell, _)| cell.tool.name == tool.name);
            let points = points.filter_map(|(cell, outcome)| match outcome {
                Outcome::Done(measured) => Some((cell.size, (picture.pick)(measured)?)),
                Outcome::Cannot { .. } => None,
            });
            let mut points: Vec<_> = points.collect();
            points.sort_by_key(|(size, _)| *size);
            Line { name: tool.title, points, colour }
        };
        let lines: Vec<_> =
            self.plan.tools.iter().enumerate().map(line).filter(|line| !line.points.is_empty()).collect();
        plot::svg(picture.title, picture.unit, &lines)
    }

    fn pictures(&self, out: &mut String) {
        let _written = writeln!(out, "## Pictures\n");
        for picture in PICTURES {
            let _written = writeln!(out, "![{}]({})\n", picture.title, picture.path());
        }
    }

    /// What was measured of a tool, if it was.
    pub(super) fn measured(&self, tool: &str, size: usize) -> Option<&Measured> {
        let (_, outcome) = self.cells.iter().find(|(cell, _)| cell.tool.name == tool && cell.size == size)?;
        match outcome {
            Outcome::Done(measured) => Some(measured),
            Outcome::Cannot { .. } => None,
        }
    }

    /// The text of a section, empty if it was not measured.
    pub(super) fn section(&self, title: &str) -> &str {
        self.sections.iter().find(|(section, _)| section.title == title).map_or("", |(_, text)| text)
    }
}

struct Picture {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    pick: fn(&Measured) -> Option<f64>,
}

impl Picture {
    fn path(&self) -> String {
        format!("docs/bench/{}.svg", self.name)
    }
}

const PICTURES: &[Picture] = &[
    Picture {
        name: "cpu",
        title: "CPU, idle",
        unit: "% of one processor",
        pick: |it| Some(it.quiet.idle.cpu_percent()),
    },
    Picture {
        name: "cpu-strangers",
        title: "CPU among 1,000 strangers a second",
        unit: "% of one processor",
        pick: |it| Some(it.noisy.as_ref()?.idle.cpu_percent()),
    },
    Picture { name: "memory", title: "Memory (PSS)", unit: "MiB", pick: |it| Some(it.quiet.memory.pss_mib) },
    Picture {
        name: "script",
        title: "From a kill to its start script, p50",
        unit: "ms",
        pick: |it| quantile_ms(&it.quiet.deaths.began_ns, 0.5),
    },
    Picture {
        name: "known",
        title: "From a kill to knowing it, p50",
        unit: "ms",
        pick: |it| quantile_ms(&it.quiet.deaths.known_ns, 0.5),
    },
];

fn figures(tool: &Tool, measured: &Measured, half: &Half) -> String {
    let Half { idle, memory, deaths, strangers_a_second: _ } = half;
    let spread = |values: &[u64]| match quantile_ms(values, 0.5) {
        Some(_) => [0.5, 0.99, 1.0].map(|share| quantile_ms(values, share).map_or_else(String::new, brief)).join(" | "),
        None => "– | – | –".to_owned(),
    };
    let kernel = if idle.kernel_ns == 0 { "–".to_owned() } else { brief(idle.kernel_us()) };
    let needless = if deaths.needless > 0 { format!(" ({} scripts too many)", deaths.needless) } else { String::new() };
    format!(
        "| {} | {} | {} | {} | {} | {kernel} | {} | {} | {} of {}{needless} | {} |",
        tool.title,
        brief(idle.cpu_percent()),
        brief(idle.wake_ups_a_second()),
        brief(memory.rss_mib),
        brief(memory.pss_mib),
        spread(&deaths.known_ns),
        spread(&deaths.began_ns),
        deaths.missed,
        deaths.kills,
        brief(measured.ready_s),
    )
}

/// What a reader should know of a tool's columns.
fn note(tool: &Tool) -> Option<&'static str> {
    Some(match tool.name {
        "keepalived" => {
            "says nothing about a single process, and restarts none: the script is that of its change of state (`notify_fault`), and \
             the bench brings the process back before the next one dies. It runs in the host's network namespace, where alone the \
             process connector works, on a veth whose other end lies in another one."
        }
        "monit" => {
            "`check process … matching`, since there are no pid files; it says that a process is gone when its cycle gets there."
        }
        "process-exporter" => {
            "restarts nobody, so it has no script: known is the end of the first scrape that has no such process any more, and missed \
             are deaths that no scrape has shown. The one who scrapes is not counted."
        }
        "restartd" => "says nothing, so when it knows cannot be seen.",
        "s6" => {
            "says nothing, so when it knows cannot be seen; the script is the service's `run`, and it waits about a second before it runs that again."
        }
        "supervisord" => "the script is the program itself, which becomes the process.",
        _ => return None,
    })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests;
