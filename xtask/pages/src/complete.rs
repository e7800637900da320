//! Completions for bash, zsh and fish, for each name by which the program is called.

use std::{fs, path::Path};

use clap::Command;
use clap_complete::{Shell, generate_to};

use crate::commands::name;

const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Fish, "fish"), (Shell::Zsh, "zsh")];

/// Writes `SHELL/FILE`, each in a folder of its own.
pub(crate) fn write(whole: &Command, folder: &Path) -> anyhow::Result<()> {
    for (shell, below) in SHELLS {
        let folder = folder.join(below);
        fs::create_dir_all(&folder)?;
        generate_to(shell, &mut whole.clone(), "watcher", &folder)?;
        for command in whole.get_subcommands().filter(|command| is_a_program(command)) {
            let name: &'static str = name(command).to_owned().leak();
            generate_to(shell, &mut command.clone().name(name), name, &folder)?;
        }
    }
    Ok(())
}

/// Whether it also goes by a name of its own.
pub(crate) fn is_a_program(command: &Command) -> bool {
    !name(command).starts_with("watcher-")
}
