//! The lines of the file: what stands on the disk is apart from what the core means by it.

use serde::{Deserialize, Serialize};
use watcher_core::reboot::{Date, Reboot};

use crate::executor::percent;

/// Another form of the file has another number.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    reboots_format: u32,
}

impl Header {
    /// That it is of this form.
    pub(super) fn check(self) -> Result<(), String> {
        let Self { reboots_format } = self;
        if reboots_format == FORMAT {
            Ok(())
        } else {
            Err(format!("it is of format {reboots_format}, which this version does not know"))
        }
    }
}

/// All others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    unix_time: Option<u64>,
    dry_run: bool,
    pfile: Option<String>,
}

impl Record {
    pub(super) fn read(self) -> Reboot {
        let Self { unix_time, dry_run, pfile } = self;
        let pfile = pfile.and_then(|pfile| percent::decode(&pfile)).map(|pfile| pfile.as_slice().into());
        Reboot { at: unix_time.map(Date), dry_run, pfile }
    }
}

impl From<&Reboot> for Record {
    fn from(Reboot { at, dry_run, pfile }: &Reboot) -> Self {
        let pfile = pfile.as_ref().map(|pfile| percent::encode(pfile.as_slice()));
        Self { unix_time: at.map(|Date(seconds)| seconds), dry_run: *dry_run, pfile }
    }
}

/// The whole file.
pub(super) fn lines(reboots: &[Reboot]) -> Vec<u8> {
    let mut text = line(&Header { reboots_format: FORMAT });
    text.extend(reboots.iter().flat_map(|reboot| line(&Record::from(reboot))));
    text
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // Numbers and strings: there is nothing that could not be written.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
