//! What watching a pfile takes, claimed: its rules, its folder, its state, its control socket.

use std::{
    collections::BTreeSet,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use watcher_core::{
    Pid,
    pfile::{AbsolutePath, UnknownOptions},
};

use crate::{
    control::Server,
    engine::patrol::Recruit,
    executor::{
        aside::Desks,
        hosts,
        ledger::Ledger,
        rules::{Draft, Rules, RulesReader},
        rundir::{ClaimError, Claims, RunDir},
        scripts::Left,
        store::Store,
        trust,
    },
    sys::host,
};

/// How a pfile is taken.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where folders of pfiles are.
    pub run_dir: PathBuf,
    /// What to do about options that are not known.
    pub unknown_options: UnknownOptions,
    /// Whether it has to be a file: a pipe keeps whoever opens it waiting.
    pub files_only: bool,
    /// Who is to be told to end, if the watch is.
    pub watcher: Pid,
}

/// Why it did not start, or did not go on.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Another one runs.
    pub already_running: bool,
    /// Why.
    pub sentence: String,
}

impl Failed {
    pub(super) fn because(sentence: impl ToString) -> Self {
        Self { already_running: false, sentence: sentence.to_string() }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::because(error)
    }
}

impl From<ClaimError> for Failed {
    fn from(error: ClaimError) -> Self {
        let already_running = match error {
            ClaimError::AlreadyRunning(_) | ClaimError::KeyInUse(_) | ClaimError::InUse(_) => true,
            ClaimError::Unusable { .. } => false,
        };
        Self { already_running, sentence: error.to_string() }
    }
}

/// Takes on a pfile. Blocks while it is read and its hosts are looked up; a runtime has to be there.
///
/// # Errors
/// Says what is wrong with it, or who watches it already. Nothing is left behind then.
pub(super) fn enlist(pfile: &Path, terms: &Terms, desks: &Desks) -> Result<Recruit, Failed> {
    let read = if terms.files_only { Draft::read_file } else { Draft::read };
    let draft = read(pfile, terms.unknown_options).map_err(Failed::because)?;
    enlist_all(vec![draft], terms, desks).pop().unwrap_or_else(|| Err(Failed::because("nothing was read")))
}

/// The same for many that were read: what comes of each, in the same order. What takes long is done once for all: their hosts
/// are looked up, others who watch something are looked for, and scripts that run.
pub(super) fn enlist_all(drafts: Vec<Draft>, terms: &Terms, desks: &Desks) -> Vec<Result<Recruit, Failed>> {
    let hosts: BTreeSet<_> = drafts.iter().flat_map(Draft::hosts).collect();
    let nameless = hosts::nameless(&hosts);
    let with_rules = |draft: Draft| {
        let (path, hosts) = (draft.path().to_owned(), draft.hosts());
        let rules = draft.rules(&nameless).map_err(Failed::because)?;
        Ok((full_path(&path)?, path, rules, hosts))
    };
    let all: Vec<Result<_, Failed>> = drafts.into_iter().map(with_rules).collect();
    // Nothing is made where nothing is claimed.
    let mut claims = None;
    let mut claim = |(full, path, rules, hosts): (AbsolutePath, PathBuf, Rules, _)| {
        let claims = claims.get_or_insert_with(|| Claims::begin(&terms.run_dir, terms.watcher));
        let claims = claims.as_mut().map_err(|error| error.clone())?;
        let run_dir = claims.claim(rules.pfile.param.ipc_key.value.number(), &path)?;
        Ok((full, path, rules, hosts, run_dir))
    };
    let all: Vec<_> = all.into_iter().map(|one| one.and_then(&mut claim)).collect();
    // Others have their turn.
    drop(claims);
    let (mut left, boot_id) = (Left::default(), host::boot_id().unwrap_or_default());
    let mut take_up = |(pfile, path, rules, hosts, run_dir): (_, PathBuf, Rules, _, RunDir)| {
        let Rules { pfile: rules, mut warnings } = rules;
        let control = Server::bind(&run_dir.control())?;
        let (store, mut saved, trouble) = Store::open(run_dir.state(), boot_id.clone())?;
        warnings.extend(trouble);
        warnings.extend(open_to_others(&path));
        left.find(&rules, run_dir.path(), &mut saved);
        let reader = RulesReader::new(desks.reading.clone(), path, terms.unknown_options, hosts);
        let ledger = Ledger::new(run_dir, store, reader, desks);
        Ok(Recruit { pfile, rules, warnings, saved, ledger, control })
    };
    all.into_iter().map(|one| one.and_then(&mut take_up)).collect()
}

/// Whoever may change the rules decides what root runs.
fn open_to_others(path: &Path) -> Option<String> {
    let open = trust::open_to_others(path).ok()?.filter(|_| rustix::process::geteuid().is_root())?;
    Some(format!("{}: others than root may change these rules, and so what root runs: {open}", path.display()))
}

fn full_path(path: &Path) -> Result<AbsolutePath, Failed> {
    let full = std::path::absolute(path)?;
    AbsolutePath::new(full.as_os_str().as_bytes())
        .ok_or_else(|| Failed::because(format!("{} contains a control character, or ends in a blank", full.display())))
}
