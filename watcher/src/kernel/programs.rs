//! The kernel programs: the one that must work, and those that only tell more.

use aya::{
    Ebpf,
    programs::{ProgramError, ProgramFd, RawTracePoint},
};
use tracing::warn;
use watcher_abi::name;

use super::{Refusal, skips::Skips};
use crate::sys::raw_tracepoint::{self, Runs};

/// Programs and links. They vanish with this value.
pub struct Programs {
    ebpf: Ebpf,
    lacking: Box<Lacking>,
    skips: Skips,
    may_be_skipped: bool,
}

/// What this kernel, or its type information, does not give, each with the reason. Deaths are told without any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Who sent the signal that a process died of.
    pub explanations: Option<String>,
    /// Whether that was for want of memory.
    pub out_of_memory: Option<String>,
    /// Starts of programs.
    pub starts: Option<String>,
    /// State changes of TCP sockets.
    pub sockets: Option<String>,
    /// Clients that do not finish their handshakes.
    pub floods: Option<String>,
    /// Want of memory for TCP.
    pub socket_memory: Option<String>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ebpf.programs().map(|(name, _)| name)).finish()
    }
}

impl Programs {
    /// Loads and attaches the program that tells of deaths; then the others, as far as they can be, but for those that are
    /// known to be lacking.
    ///
    /// # Errors
    /// When deaths cannot be told.
    pub(super) fn load(mut ebpf: Ebpf, mut lacking: Lacking) -> Result<Self, Refusal> {
        attach(&mut ebpf, name::ON_EXIT, name::ON_EXIT_TRACEPOINT)?;
        // The self-test shows whether it is needed, and is itself not to be skipped.
        attach(&mut ebpf, name::ON_EXIT_AGAIN, name::ON_EXIT_TRACEPOINT)?;
        let mut attempt = |program, tracepoint| {
            attach(&mut ebpf, program, tracepoint).map_err(|refusal| format!("{program}: {refusal}")).err()
        };
        if lacking.explanations.is_none() {
            lacking.explanations = attempt(name::ON_SIGNAL, name::ON_SIGNAL_TRACEPOINT);
        }
        // It only adds to what the other one has noted down.
        if lacking.explanations.is_none() && lacking.out_of_memory.is_none() {
            lacking.out_of_memory = attempt(name::ON_OUT_OF_MEMORY, name::ON_OUT_OF_MEMORY_TRACEPOINT);
        }
        // Attached by `Starts`, while somebody is waited for.
        lacking.starts = load(&mut ebpf, name::ON_EXEC).err().map(|refusal| format!("{}: {refusal}", name::ON_EXEC));
        // Attached by `Ports`, while a port is watched.
        let mut attempt = |program| load(&mut ebpf, program).err().map(|refusal| format!("{program}: {refusal}"));
        if lacking.sockets.is_none() {
            lacking.sockets = attempt(name::ON_STATE);
        }
        if lacking.floods.is_none() {
            lacking.floods = lacking.sockets.clone().or_else(|| attempt(name::ON_SYNACK));
        }
        if lacking.socket_memory.is_none() {
            lacking.socket_memory = lacking.sockets.clone().or_else(|| attempt(name::ON_MEMORY));
        }
        let Lacking { explanations, out_of_memory, starts, sockets, floods, socket_memory } = &lacking;
        for (what, reason) in [
            ("deaths are told without who caused them", explanations),
            ("deaths for want of memory are told as kills by the kernel", out_of_memory),
            ("starts of programs are not told, but looked for", starts),
            ("what becomes of watched ports is not told, but asked", sockets),
            ("floods of SYNs are not told, but found by looks", floods),
            ("want of memory for TCP is not told", socket_memory),
        ] {
            if let Some(reason) = reason {
                warn!(%reason, "{what}");
            }
        }
        let on_exit = of_tracepoint(&mut ebpf, name::ON_EXIT)?.fd()?.try_clone().map_err(ProgramError::IOError)?;
        Ok(Self { ebpf, lacking: lacking.into(), skips: Skips::of(on_exit), may_be_skipped: false })
    }

    /// Whether the kernel may skip the program that tells of deaths, for some of them: then pidfds have to tell of those.
    #[must_use]
    pub const fn may_be_skipped(&self) -> bool {
        self.may_be_skipped
    }

    /// Where the kernel may skip that program two of it miss less, and so less remains unexplained. Elsewhere one will do.
    pub(super) fn settle_whether_they_may_be_skipped(&mut self, may_be_skipped: bool) -> Result<(), Refusal> {
        self.may_be_skipped = may_be_skipped;
        if !may_be_skipped {
            of_tracepoint(&mut self.ebpf, name::ON_EXIT_AGAIN)?.unload()?;
        }
        Ok(())
    }

    /// Whether a death that the programs have not told was skipped by the kernel. Asked once for each.
    pub fn was_skipped(&mut self) -> bool {
        self.skips.account_for_another()
    }

    /// How often the kernel has skipped the program that tells of deaths.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skips.count()
    }

    /// All are known who were dead, or dying, when it had been skipped so often.
    pub const fn settle_skips(&mut self, count: u64) {
        self.skips.settle(count);
    }

    /// What this host does not give.
    #[must_use]
    pub const fn lacking(&self) -> &Lacking {
        &self.lacking
    }

    /// Explanations are wrong: rather none.
    pub(super) fn stop_explaining(&mut self, reason: String) {
        warn!(%reason, "deaths are told without who caused them");
        for name in [name::ON_SIGNAL, name::ON_OUT_OF_MEMORY] {
            if let Ok(program) = of_tracepoint(&mut self.ebpf, name) {
                // One that was never loaded need not be unloaded.
                let _unloaded = program.unload();
            }
        }
        self.lacking.explanations = Some(reason);
    }

    /// The program that tells of starts, for attaching and detaching; why there is none.
    pub(super) fn on_exec(&mut self) -> Result<ProgramFd, String> {
        self.descriptor(name::ON_EXEC, self.lacking.starts.clone())
    }

    /// The same: the one that tells of watched ports.
    pub(super) fn on_state(&mut self) -> Result<ProgramFd, String> {
        self.descriptor(name::ON_STATE, self.lacking.sockets.clone())
    }

    /// The same: the one that tells of floods of SYNs.
    pub(super) fn on_synack(&mut self) -> Result<ProgramFd, String> {
        self.descriptor(name::ON_SYNACK, self.lacking.floods.clone())
    }

    /// The same: the one that tells of want of memory for TCP.
    pub(super) fn on_memory(&mut self) -> Result<ProgramFd, String> {
        self.descriptor(name::ON_MEMORY, self.lacking.socket_memory.clone())
    }

    fn descriptor(&mut self, name: &'static str, lacking: Option<String>) -> Result<ProgramFd, String> {
        if let Some(reason) = lacking {
            return Err(reason);
        }
        let program = of_tracepoint(&mut self.ebpf, name).map_err(|refusal| refusal.to_string())?;
        let descriptor = program.fd().map_err(|error| error.to_string())?;
        descriptor.try_clone().map_err(|error| error.to_string())
    }

    pub(super) const fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Numbers of the maps that the programs use, as the kernel counts maps.
    #[must_use]
    pub fn map_ids(&self) -> Vec<u32> {
        let infos = self.ebpf.programs().filter_map(|(_, program)| program.info().ok());
        infos.filter_map(|info| info.map_ids().ok().flatten()).flatten().collect()
    }

    /// How often each of them ran, and for how long, as far as the kernel has counted that.
    #[must_use]
    pub fn runs(&self) -> Vec<(String, Runs)> {
        let of_one = |(name, program): (&str, &aya::programs::Program)| {
            // Those that were not loaded, or are not any more, have none.
            program.fd().ok().map(|fd| (name.to_owned(), raw_tracepoint::runs(fd)))
        };
        let mut all: Vec<_> = self.ebpf.programs().filter_map(of_one).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// The programs, for inspection.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &aya::programs::Program)> {
        self.ebpf.programs()
    }
}

fn of_tracepoint<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut RawTracePoint, Refusal> {
    let program = ebpf.program_mut(name).ok_or(Refusal::WrongObject { missing: name })?;
    program.try_into().map_err(|error: ProgramError| error.into())
}

fn load<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut RawTracePoint, Refusal> {
    let program = of_tracepoint(ebpf, name)?;
    // A signal that comes while the verifier is at it makes it give up. The next try has nothing to do with that.
    for _ in 1..TRIES {
        match program.load() {
            Err(error) if is_interrupted(&error) => {}
            done => return Ok(done.map(|()| program)?),
        }
    }
    program.load()?;
    Ok(program)
}

/// More signals in a row than come by chance.
const TRIES: u32 = 10;

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of which one variant matters")]
fn is_interrupted(error: &ProgramError) -> bool {
    match error {
        ProgramError::LoadError { io_error, .. } => io_error.raw_os_error() == Some(libc::EAGAIN),
        _ => false,
    }
}

fn attach(ebpf: &mut Ebpf, name: &'static str, tracepoint: &str) -> Result<(), Refusal> {
    load(ebpf, name)?.attach(tracepoint)?;
    Ok(())
}
