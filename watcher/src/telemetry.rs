//! Diagnostics for developers: off by default, on standard error, apart from everything that operators rely on.

use std::{env, io};

use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Which diagnostics are wanted, such as `debug` or `watcher::kernel=trace`.
pub const VARIABLE: &str = "WATCHER_LOG";

/// Switches diagnostics on as `--verbose` or the environment ask for it.
///
/// # Errors
/// When the variable cannot be understood.
pub fn init(verbose: bool) -> Result<(), String> {
    let wanted = match (env::var(VARIABLE), verbose) {
        (Ok(wanted), _) => wanted,
        (Err(_), true) => "watcher=debug".to_owned(),
        (Err(_), false) => return Ok(()),
    };
    let filter: Targets =
        wanted.parse().map_err(|error| format!("{VARIABLE}={wanted:?} is not understood: {error}"))?;
    let lines = fmt::layer().with_writer(io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).try_init().map_err(|error| error.to_string())
}
