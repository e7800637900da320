//! `watcher new`: asks what is missing when somebody is there to answer, writes, and checks what it wrote.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use watcher_core::{
    Pid,
    pfile::{Seconds, UnknownOptions, select::Process, select::Processes},
};

use super::{args, diagnostic, exit, output};
use crate::{
    check::{self, Checked},
    new::{self, Plan, Wanted},
};

/// Runs the command.
pub(super) fn run(arguments: &args::New) -> ExitCode {
    match make(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::trouble(&error.to_string()),
    }
}

fn make(arguments: &args::New) -> io::Result<u8> {
    let processes = new::processes()?;
    let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
    let asked = arguments.pids.is_empty() && arguments.name.is_none();
    let pids = match (asked, somebody) {
        (true, false) => {
            output::say("which processes? --pid PID… or --name PATTERN says it where nobody can be asked");
            return Ok(exit::USAGE);
        }
        (true, true) => ask_processes(&processes)?,
        (false, _) => given(arguments, &processes),
    };
    if pids.is_empty() {
        output::say("no process fits: nothing is written");
        return Ok(exit::TROUBLE);
    }
    let wanted = Wanted {
        output: output_path(arguments, &pids, &processes, asked)?,
        pids,
        action: arguments.action.meaning(),
        retries: arguments.retries,
        grace: Seconds(arguments.grace),
        ipc_key: arguments.ipckey,
        stall_checks: !arguments.no_stall_checks,
    };
    let plan = match new::plan(&wanted, &processes) {
        Ok(plan) => plan,
        Err(sentences) => {
            sentences.iter().for_each(|sentence| output::say(sentence));
            output::say("nothing is written");
            return Ok(exit::TROUBLE);
        }
    };
    let there: Vec<_> = plan.paths().filter(|path| fs::symlink_metadata(path).is_ok()).collect();
    if !arguments.force && !there.is_empty() {
        there.iter().for_each(|path| output::say(&format!("{} exists", path.display())));
        output::say("nothing is written; --force writes over what is there");
        return Ok(exit::TROUBLE);
    }
    plan.write()?;
    tell(&plan)?;
    Ok(if check_written(&plan)? { exit::DONE } else { exit::TROUBLE })
}

fn given(arguments: &args::New, processes: &Processes) -> Vec<Pid> {
    let named = arguments.name.iter().flat_map(|pattern| new::named(pattern, processes));
    arguments.pids.iter().copied().chain(named.map(|process| process.proc.pid)).collect()
}

fn ask_processes(processes: &Processes) -> io::Result<Vec<Pid>> {
    let Some(pattern) = output::ask("Name of the program (* and ? stand for anything): ")? else {
        return Ok(Vec::new());
    };
    let found = new::named(&pattern, processes);
    for (index, Process { proc, command_line, .. }) in found.iter().enumerate() {
        let shown: String = command_line.to_string().chars().take(100).collect();
        output::say(&format!("{:>3}. {} {}", index + 1, proc.pid, diagnostic::visible(shown.as_bytes())));
    }
    if found.len() < 2 {
        return Ok(found.iter().map(|process| process.proc.pid).collect());
    }
    let Some(numbers) = output::ask("Which of them, by number (all of them: just Enter): ")? else {
        return Ok(Vec::new());
    };
    Ok(choose(&numbers, &found))
}

fn choose(numbers: &str, found: &[&Process]) -> Vec<Pid> {
    let numbers: Vec<usize> = numbers.split([' ', ',']).filter_map(|number| number.parse().ok()).collect();
    let is_chosen = |index: usize| numbers.is_empty() || numbers.contains(&(index + 1));
    let chosen = found.iter().enumerate().filter(|(index, _)| is_chosen(*index));
    chosen.map(|(_, process)| process.proc.pid).collect()
}

/// As given, or as answered, or named after the program, in this folder.
fn output_path(arguments: &args::New, pids: &[Pid], processes: &Processes, ask: bool) -> io::Result<PathBuf> {
    if let Some(path) = &arguments.output {
        return Ok(path.clone());
    }
    let first = processes.iter().find(|process| Some(&process.proc.pid) == pids.first());
    let path = first.map(|process| process.exe.as_ref().unwrap_or(&process.name).to_string()).unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("new");
    let default = format!("{name}.pfile");
    let answer = if ask { output::ask(&format!("Write to (just Enter: {default}): "))? } else { None };
    Ok(answer.filter(|answer| !answer.is_empty()).unwrap_or(default).into())
}

fn tell(plan: &Plan) -> io::Result<()> {
    plan.remarks.iter().for_each(|remark| output::say(remark));
    for path in plan.paths() {
        output::line(&path.display().to_string())?;
    }
    if !plan.scripts.is_empty() {
        output::say("written; read the restart scripts before you rely on them");
    }
    Ok(())
}

/// Whoever gets a file from here should not have to check it.
fn check_written(plan: &Plan) -> io::Result<bool> {
    let (path, text) = &plan.pfile;
    let mut files = [Checked::by_text(path.display().to_string(), text.clone(), UnknownOptions::Refuse)];
    check::together(&mut files, true)?;
    let [file] = &files;
    for problem in &file.problems {
        output::complain(&diagnostic::render(file, problem));
    }
    Ok(file.problems.is_empty())
}
