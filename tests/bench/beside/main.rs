//! One cell of `cargo xtask bench`: one tool, so many processes; idle and under kills, quiet and among strangers.
//!
//! Its result is one JSON object in a file. It is run under `keeps`, which ends whatever it leaves behind.

mod arguments;
mod daemon;
mod floor;
mod ground;
mod herd;
mod kept;
mod kills;
mod meters;
mod news;
mod noise;
mod run;
mod tools;

use std::{env, fs, process::ExitCode};

use self::arguments::Arguments;

fn main() -> ExitCode {
    let mut words = env::args().skip(1).peekable();
    if words.next_if(|word| word == floor::OPTION).is_some() {
        floor::run(words);
        return ExitCode::SUCCESS;
    }
    if words.next_if(|word| word == daemon::OPTION).is_some() {
        daemon::run(words.any(|word| word == "--quick"));
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("bench_beside: {wrong}");
            return ExitCode::FAILURE;
        }
    };
    // What a tool cannot do is a result, too, and the reason belongs into the report.
    let result = run::cell(&arguments).unwrap_or_else(|reason| serde_json::json!({ "cannot": reason }));
    fs::write(&arguments.out, result.to_string()).expect("the file can be written");
    ExitCode::SUCCESS
}
