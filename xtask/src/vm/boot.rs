//! Boots guests, two at a time, and waits for their ends.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::{
    image,
    report::{self, Outcome},
    rows::{Guest, Program, Task},
};
use crate::{say, workspace};

/// As many guests run at the same time.
const AT_ONCE: usize = 2;

/// Until a guest is up, in seconds, on a busy machine.
const START: u64 = 60;

/// What became of the guests, in their order.
pub(super) fn all(guests: &[Guest], common: &[u8]) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let folder = workspace::target()?.join("vm/guests");
    fs::create_dir_all(&folder)?;
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        let shell = workspace::shell()?;
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(guest) = guests.get(nth) else { return Ok(()) };
            let outcome = one(&shell, guest, common, &folder.join(guest.name().replace(' ', "-")))?;
            outcomes
                .lock()
                .map_err(|_poisoned| anyhow::anyhow!("another guest's thread has failed"))?
                .push((nth, outcome));
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_panic| anyhow::anyhow!("a guest's thread has failed"))?)
    })?;
    let mut outcomes = outcomes.into_inner().context("nobody holds it any more")?;
    outcomes.sort_by_key(|(nth, _)| *nth);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn one(shell: &Shell, guest: &Guest, common: &[u8], place: &Path) -> anyhow::Result<Vec<Outcome>> {
    let begin = Instant::now();
    fs::create_dir_all(place)?;
    let (disk, log) = (place.join("image"), place.join("log"));
    let plan: String = guest.tasks.iter().map(line_of_plan).collect();
    let modules = guest.kernel.as_ref().map(|kernel| kernel.modules.as_slice()).unwrap_or_default();
    let own = image::own(&plan, modules, guest.host)?;
    fs::write(&disk, [common, &own].concat())?;
    let limit = (START + guest.tasks.iter().map(|task| task.group.limit).sum::<u64>()).to_string();
    match &guest.kernel {
        Some(kernel) => {
            let (options, image) = (guest.host.options(), &kernel.image);
            let line = format!("console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=on nokaslr {options}");
            // Never KVM: where it is there, it may be of a kind that boots nothing but the host's own kernel.
            let machine = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1536", "-smp", "2"];
            let bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none"];
            let command = cmd!(
                shell,
                "timeout -k 3 {limit} qemu-system-x86_64 {machine...} {bare...} -serial file:{log} -kernel {image} -initrd {disk} -append {line}"
            );
            // What it achieved is in its log.
            command.quiet().ignore_status().ignore_stdout().ignore_stderr().run()?;
        }
        None => {
            // The console is its standard output.
            let mut command = Command::new("timeout");
            command.args([
                "-k",
                "3",
                &limit,
                "linux.uml",
                "mem=1024M",
                "con=null",
                "con0=fd:0,fd:1",
                "panic=-1",
                "quiet",
            ]);
            command.arg(format!("initrd={}", disk.display())).stdin(Stdio::null()).stderr(Stdio::null());
            command.stdout(File::create(&log)?).status()?;
        }
    }
    fs::remove_file(disk)?;
    let outcomes = report::read(guest, &fs::read(&log)?);
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    say(&format!(
        "{}: {} of {} groups as they should be, {} s; {}",
        guest.name(),
        outcomes.len() - failed,
        outcomes.len(),
        begin.elapsed().as_secs(),
        log.display()
    ));
    Ok(outcomes)
}

/// As the guests' init reads it.
fn line_of_plan(task: &Task) -> String {
    let Task { group, tier: _ } = task;
    let command = match group.program {
        Program::Doctor => "/t/watcher doctor --json".to_owned(),
        Program::Kernel => format!("/t/deps/kernel {}", group.arguments()),
        Program::EndToEnd => format!("/t/deps/e2e {}", group.arguments()),
    };
    format!("{} {} {} {command}\n", group.name, task.tier(), group.limit)
}
