//! What comes out is read by those for whom it is made: `man` and the shells, where they are there.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{commands, complete, man};

const DATE: &str = "2026-11-22";

struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let whole = commands::whole().unwrap();
        man::write(&whole, DATE, &folder.path().join("man")).unwrap();
        complete::write(&whole, &folder.path().join("completions")).unwrap();
        Self { folder }
    }

    fn files(&self, below: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join(below)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
}

/// None where the program is not there.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

fn names(files: &[PathBuf]) -> Vec<&str> {
    let mut names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn each_command_has_a_page_by_the_name_that_it_is_called_by() {
    let made = Made::new();
    let files = made.files("man");
    let names = names(&files);
    for name in ["clp_httpmon", "clp_smtpmon", "padmin", "pcheck", "watcher", "watcher-check", "watcher-run"] {
        assert!(names.contains(&format!("{name}.8").as_str()), "{name} is not among {names:?}");
    }
    let whole = commands::whole().unwrap();
    assert_eq!(names.len(), whole.get_subcommands().count() + 1);
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().replace('-', "\\-");
        assert!(text.contains(&format!("{name} \\- ")), "{}:\n{text}", file.display());
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"SEE ALSO\""] {
            assert!(text.contains(&format!("\n.SH {section}\n")), "{}: no {section}\n{text}", file.display());
        }
        assert!(!text.contains("watcher\\-pcheck") && !text.contains("=\\fI"), "{}:\n{text}", file.display());
    }
}

#[test]
fn the_monitors_have_the_options_that_they_read_by_themselves() {
    let made = Made::new();
    let (http, smtp) = (made.read("man/clp_httpmon.8"), made.read("man/clp_smtpmon.8"));
    for option in
        ["\\fB\\-s\\fR \\fI<SERVER>\\fR", "\\fB\\-\\-stop\\fR", "\\fB\\-\\-pause\\fR", "\\fB\\-\\-run\\-dir\\fR"]
    {
        assert!(http.contains(option) && smtp.contains(option), "{option}:\n{http}");
    }
    assert!(http.contains("\\fB\\-h\\fR \\fI<URI>\\fR") && !smtp.contains("<URI>"));
    let completion = made.read("completions/bash/clp_httpmon.bash");
    assert!(completion.contains("--resume"), "{completion}");
}

#[test]
fn padmins_commands_are_a_section() {
    let made = Made::new();
    let page = made.read("man/padmin.8");
    assert!(page.contains(".SH COMMANDS") && page.contains("show pent"), "{page}");
}

#[test]
fn the_page_on_pfiles_names_every_extension() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/man/pfile.5")).unwrap();
    for key in watcher_core::pfile::Extension::KEYS {
        assert!(page.contains(&format!("Cm {key}=")), "{key} is missing");
    }
}

#[test]
fn man_has_nothing_to_complain_about() {
    let made = Made::new();
    let by_hand = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/man/pfile.5");
    for page in made.files("man").into_iter().chain([by_hand]) {
        // As lintian does it.
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", "-W", "warning"]).arg(&page);
        let said = [(&mut man, false), (&mut mandoc, true)].map(|(command, speaks_on_output)| {
            let Some(Output { stdout, stderr, .. }) = output(command) else { return String::new() };
            String::from_utf8_lossy(if speaks_on_output { &stdout } else { &stderr }).into_owned()
        });
        assert_eq!(said, [""; 2], "{}", page.display());
    }
}

#[test]
fn bash_completes_commands_and_options() {
    const ASK: &str = r#". "$1"
COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"_${COMP_WORDS[0]}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[*]}""#;
    let made = Made::new();
    for (program, line, wanted) in [
        ("watcher", "watcher sock", "sockets"),
        ("watcher", "watcher pcheck --stand", "--standalone"),
        ("watcher", "watcher watch --tier pid", "pidfd"),
        ("pcheck", "pcheck --stand", "--standalone"),
        ("padmin", "padmin --js", "--json"),
        ("clp_smtpmon", "clp_smtpmon --res", "--resume"),
    ] {
        let file = made.folder.path().join(format!("completions/bash/{program}.bash"));
        let Some(output) = output(Command::new("bash").args(["-c", ASK, "bash"]).arg(file).arg(line)) else { return };
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), wanted, "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn zsh_and_fish_can_read_theirs() {
    let made = Made::new();
    for shell in ["fish", "zsh"] {
        let files = made.files(&format!("completions/{shell}"));
        assert_eq!(files.len(), 5, "{files:?}");
        for file in files {
            let Some(output) = output(Command::new(shell).arg("-n").arg(&file)) else { break };
            assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        }
    }
}
