//! What `--help` shows: the options are read by hand, so this is written by hand.

use watcher_core::monitor::Kind;

macro_rules! help {
    ($command:literal, $sub:literal, $what:literal, $port:literal, $check:literal, $own:literal, $own_usage:literal) => {
        concat!(
            "Monitor ",
            $what,
            ", by an identifier\n\n",
            "Stays in the foreground. ",
            $check,
            " A check that fails is done again; when it has\n",
            "failed as often as there are retries, and once before, the command ends.\n",
            "Exit code 0: it was stopped. 1: the service has failed. 2: the command line is wrong, the\n",
            "identifier is in use, or nothing can be recorded.\n\n",
            "Usage: ",
            $command,
            " ID [-s SERVER] [-n PORT] [-i INTERVAL] [-c RETRIES] [-r WAIT]",
            $own_usage,
            "\n",
            "       ",
            $command,
            " ID --stop [WAIT] | --pause | --resume | --disp [--json] | --del\n",
            "       ",
            $command,
            " ID --once [--json] [OPTIONS]\n",
            "       watcher ",
            $sub,
            " … is the same\n\n",
            "  ID               Identifies this monitor: up to 255 letters and digits\n\n",
            "Options:\n",
            "  -s SERVER        Name or address of the server [default: localhost]\n",
            "  -n PORT          Its port [default: ",
            $port,
            "]\n",
            "  -i INTERVAL      Seconds from one check to the next, 1 to 10000 [default: 60]\n",
            "  -c RETRIES       How often a check that failed is done again, 1 to 10000 [default: 3]\n",
            "  -r WAIT          Seconds that a check may take, 1 to 10000 [default: 10]\n",
            $own,
            "  --stop [WAIT]    End the monitor; wait for it, 1 to 10000 seconds [default: 10]\n",
            "  --pause          Check no more for now\n",
            "  --resume         Go on, with a check at once\n",
            "  --disp           Show the pid that is recorded, and whether it is live, paused, stale or silent\n",
            "  --del            Delete a record that is stale\n",
            "  --once           Check once, and show what came of it; exit code 0: good. 1: not. Nothing is\n",
            "                   recorded\n",
            "  --json           With --disp or --once: print one JSON object\n",
            "  --run-dir DIR    Where records are kept, in the folder ",
            $command,
            " [default: /run]\n",
            "  --log WHERE      stderr or syslog; by default to syslog, and to standard error too if that is a\n",
            "                   terminal\n",
            "  --verbose        Show diagnostics on standard error\n",
            "  --help           Show this\n",
            "  --version        Show the version\n",
        )
    };
}

/// Of `clp_httpmon`.
pub(in crate::cli) const HTTPMON: &str = help!(
    "clp_httpmon",
    "httpmon",
    "an HTTP server",
    "80",
    "A check is a HEAD request.",
    "  -v VERSION       Version of HTTP, 1.0 or 1.1 [default: 1.1]\n  -h URI           What is asked for. Of any other than /, a status of 400 or more is a fault\n                   [default: /]\n",
    " [-v VERSION] [-h URI]"
);

/// Of `clp_smtpmon`.
pub(in crate::cli) const SMTPMON: &str =
    help!("clp_smtpmon", "smtpmon", "an SMTP server", "25", "A check is a NOOP.", "", "");

/// Of either.
pub(super) const fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => HTTPMON,
        Kind::Smtp => SMTPMON,
    }
}
