//! `fuzz`: any bytes, for as long as you like, against what parses them.

use xshell::{Shell, cmd};

use crate::{step, workspace};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long, in seconds, for each target
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
}

/// Fuzz targets, as folder and name.
const TARGETS: [(&str, &str); 1] = [("watcher/core", "pfile")];

/// Runs the task. What is found new goes under the target folder; a finding ends it with the input that caused it.
pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> anyhow::Result<()> {
    let limit = format!("-max_total_time={}", arguments.seconds);
    for (folder, target) in TARGETS {
        step(&format!("fuzzing {target} for {} s", arguments.seconds));
        let build = workspace::target()?.join("fuzz");
        let (found, known) = (build.join("corpus").join(target), format!("fuzz/corpus/{target}"));
        shell.create_dir(&found)?;
        let _there = shell.push_dir(folder);
        // cargo-fuzz asks for unstable flags, which a stable compiler knows as well. The target is safe code: it needs
        // no sanitizer.
        let _unstable = shell.push_env("RUSTC_BOOTSTRAP", "1");
        let options = ["-max_len=65536", "-print_final_stats=1", "-verbosity=0"];
        cmd!(
            shell,
            "cargo fuzz run --sanitizer none --target-dir {build} {target} {found} {known} -- {limit} {options...}"
        )
        .quiet()
        .run()?;
    }
    Ok(())
}
