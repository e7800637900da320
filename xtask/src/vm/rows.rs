//! What is run where: hosts, groups of tests, and what each pair is good for.

use super::kernels::Kernel;

/// A machine that a kernel finds, or lacks something of what we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Host {
    /// As distributions ship it.
    Whole,
    /// Built without type information, it seems.
    NoBtf,
    /// No tracefs: raw tracepoints do not need it.
    NoTracefs,
    /// Memory of the kernel is for nobody's eyes: locked down in mode confidentiality.
    Lockdown,
    /// Locked down in mode integrity: nobody may change the kernel, and we do not want to.
    Integrity,
    /// Ordinary users may call `bpf()`: they can make maps, but load no program of ours.
    BpfForAll,
    /// The kernel as a process: it has `bpf()` and maps, and nothing to attach to.
    Uml,
    /// The same with type information: a kernel that has `bpf()`, but refuses our programs.
    UmlBtf,
}

/// Groups that show what a host lacks, and that it makes no difference on the tier that is left.
const OF_THE_LADDER: [&str; 4] = ["doctor", "passed-over", "privileges", "restarts"];

impl Host {
    const POOR: [Self; 5] = [Self::NoBtf, Self::NoTracefs, Self::Lockdown, Self::Integrity, Self::BpfForAll];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Whole | Self::Uml => "",
            Self::NoBtf => "no BTF",
            Self::NoTracefs => "no tracefs",
            Self::Lockdown => "lockdown",
            Self::Integrity => "integrity",
            Self::BpfForAll => "bpf for all",
            Self::UmlBtf => "BTF",
        }
    }

    /// Words for the kernel.
    pub(super) const fn options(self) -> &'static str {
        match self {
            Self::Whole | Self::Uml | Self::UmlBtf => "",
            Self::NoBtf => "initcall_blacklist=btf_vmlinux_init",
            Self::NoTracefs => "initcall_blacklist=tracer_init_tracefs",
            Self::Lockdown => "lockdown=confidentiality",
            Self::Integrity => "lockdown=integrity",
            Self::BpfForAll => "sysctl.kernel.unprivileged_bpf_disabled=0",
        }
    }

    /// Why the tier `ebpf` must be refused: part of the sentence that says so.
    pub(super) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Whole | Self::NoTracefs | Self::Integrity | Self::BpfForAll => None,
            Self::NoBtf | Self::Uml => Some("the kernel offers no type information"),
            Self::Lockdown => Some("the kernel is locked down in mode confidentiality"),
            Self::UmlBtf => Some("this kernel is too old for BPF programs on raw tracepoints"),
        }
    }

    const fn has_ebpf(self) -> bool {
        self.refusal().is_none()
    }

    /// The tiers that work there: one by one, and as a list.
    const fn tiers(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Whole | Self::NoTracefs | Self::Integrity | Self::BpfForAll => {
                (&["ebpf", "pidfd", "connector", "poll"], "ebpf,pidfd,connector,poll")
            }
            Self::NoBtf | Self::Lockdown => (&["pidfd", "connector", "poll"], "pidfd,connector,poll"),
            Self::Uml | Self::UmlBtf => (&["pidfd", "poll"], "pidfd,poll"),
        }
    }

    /// Whether a group can tell something there that it does not tell elsewhere.
    fn is_for(self, group: &Group) -> bool {
        match self {
            Self::BpfForAll | Self::UmlBtf => OF_THE_LADDER.contains(&group.name),
            // Neither of what loses something.
            Self::Uml => group.name != "loss",
            Self::Whole | Self::NoBtf | Self::NoTracefs | Self::Lockdown | Self::Integrity => true,
        }
    }
}

/// Which program tells the stories of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// `watcher doctor`, whose answer is compared with the host.
    Doctor,
    Kernel,
    EndToEnd,
}

/// A group of tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// Parts of the names of its tests, apart by spaces.
    filter: &'static str,
    /// Names of tests that this group leaves out.
    skip: &'static [&'static str],
    /// It is ended after so many seconds.
    pub(super) limit: u64,
    /// Whether its stories need the kernel programs, or tell of one tier after the other.
    needs: Needs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Ebpf,
    /// Told once for each tier.
    ATier,
    /// The same, in network namespaces of their own, where no process connector speaks.
    ATierInNamespaces,
    /// It goes from tier to tier.
    AllTiers,
}

/// For twenty stories that are told at the same time: three minutes, when the host has other things to do.
const AT_THE_SAME_TIME: u64 = 600;

const fn group(name: &'static str, program: Program, filter: &'static str, needs: Needs) -> Group {
    Group { name, program, filter, skip: &[], limit: 300, needs }
}

impl Group {
    /// For the test harness.
    pub(super) fn arguments(&self) -> String {
        let skipped: String = self.skip.iter().map(|name| format!(" --skip {name}")).collect();
        format!("{}{skipped}", self.filter)
    }
}

/// What no guest has, and why: kernel, group, tier, reason.
pub(super) const IMPOSSIBLE: &[(&str, &str, &str, &str)] = &[
    (
        "all",
        "servers",
        "-",
        "nginx, httpd, Tomcat, postfix and openssl are not in the image; they run on this host's kernel",
    ),
    ("without ebpf", "kernel", "ebpf", "refused there, as it should be: see their rows of the group doctor"),
    (
        "RHEL 8, < 5.10",
        "all",
        "ebpf",
        "such kernels cannot be had; the group passed-over shows a launcher that refuses as Linux 5.4 does",
    ),
    ("linux.uml", "all", "connector", "Debian builds user-mode-linux without CONFIG_PROC_EVENTS"),
    ("all", "queues", "connector", "its stories have network namespaces of their own, where no connector speaks"),
    (
        "all",
        "queues",
        "ebpf",
        "of its stories, TCP without memory takes control groups of version 1; guests have version 2",
    ),
    ("linux.uml", "loss", "-", "there is neither a ring nor a connector that could overflow"),
    ("all", "watch", "ebpf", "of its stories, those of thousands of processes take an emulated machine too long"),
];

const GROUPS: &[Group] = &[
    group("doctor", Program::Doctor, "", Needs::Nothing),
    group("exit", Program::Kernel, "exit::", Needs::Ebpf),
    group("identity", Program::Kernel, "identity::", Needs::Ebpf),
    group("starts", Program::Kernel, "starts::", Needs::Ebpf),
    group("blame", Program::Kernel, "blame::", Needs::Ebpf),
    group("floods", Program::Kernel, "floods::", Needs::Ebpf),
    group("ports", Program::Kernel, "ports::", Needs::Ebpf),
    group("sockets", Program::Kernel, "sockets::", Needs::Ebpf),
    group("passed-over", Program::EndToEnd, "pcheck::passed_over::", Needs::AllTiers),
    group("privileges", Program::EndToEnd, "pcheck::privileges::", Needs::ATier),
    group("ladder", Program::EndToEnd, "ladder::", Needs::AllTiers),
    group("restarts", Program::EndToEnd, "pcheck::restarts::", Needs::ATier),
    group("gives-up", Program::EndToEnd, "pcheck::gives_up::", Needs::ATier),
    group("scripts", Program::EndToEnd, "pcheck::scripts::", Needs::ATier),
    group("signals", Program::EndToEnd, "pcheck::signals::", Needs::ATier),
    group("stopped", Program::EndToEnd, "pcheck::stopped::", Needs::ATier),
    group("crashes", Program::EndToEnd, "pcheck::crashes::", Needs::ATier),
    Group {
        skip: &["sockets::minute::"],
        limit: AT_THE_SAME_TIME,
        ..group("queues", Program::EndToEnd, "pcheck::sockets::", Needs::ATierInNamespaces)
    },
    // It asks for two tiers by name.
    group("visits", Program::EndToEnd, "pcheck::sockets::minute::", Needs::Ebpf),
    Group { limit: AT_THE_SAME_TIME, ..group("stalls", Program::EndToEnd, "pcheck::stalls::", Needs::ATier) },
    group("ends", Program::EndToEnd, "ends::", Needs::ATier),
    // Of the group watch, what is told on more than one tier.
    Group {
        skip: &["doctor::"],
        ..group(
            "told",
            Program::EndToEnd,
            "every_tier json_tells_exit any_tier hostile_name time_namespace",
            Needs::ATier,
        )
    },
    Group {
        skip: &["ten_thousand_on_one", "thousands_of_pids"],
        ..group("watch", Program::EndToEnd, "watch::", Needs::Ebpf)
    },
    group("loss", Program::EndToEnd, "loss::", Needs::AllTiers),
    group("preempted", Program::EndToEnd, "skipped::", Needs::Ebpf),
    group("explained", Program::EndToEnd, "blame:: explained::", Needs::Ebpf),
    group("hostile", Program::EndToEnd, "hostile::", Needs::Ebpf),
];

/// Groups of the short form.
const SHORT: [&str; 6] = ["doctor", "exit", "starts", "blame", "sockets", "restarts"];

/// Groups of the brief form. Each of its stories is part of another group, too.
const BRIEF: [Group; 4] = [
    group("doctor", Program::Doctor, "", Needs::Nothing),
    Group { skip: &["none_is_missed_of_many"], ..group("exit", Program::Kernel, "exit::", Needs::Ebpf) },
    group("restart", Program::EndToEnd, "a_killed_process_is_restarted_once", Needs::ATier),
    group("queue", Program::Kernel, "an_accept_queue_is_told", Needs::Ebpf),
];

/// Whether there are such groups.
pub(super) fn check(names: &[String]) -> anyhow::Result<()> {
    let known: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => anyhow::bail!("there is no group {name}; there are {}", known.join(", ")),
        None => Ok(()),
    }
}

/// A guest to boot, and what is run in it.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    /// None: user-mode-linux, which brings its own.
    pub(super) kernel: Option<Kernel>,
    pub(super) host: Host,
    pub(super) tasks: Vec<Task>,
}

/// A group, on a tier where that can be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) group: Group,
    pub(super) tier: Option<&'static str>,
}

impl Task {
    pub(super) fn tier(&self) -> &'static str {
        self.tier.unwrap_or("-")
    }
}

impl Guest {
    /// Which kernel on which host, for people.
    pub(super) fn name(&self) -> String {
        let kernel = self.kernel.as_ref().map_or("linux.uml", |kernel| kernel.series.as_str());
        format!("{kernel} {}", self.host.name()).trim_end().to_owned()
    }
}

/// All guests for these kernels. What a host may lack is shown on one of them.
pub(super) fn guests(kernels: &[Kernel], all: bool, only: &[String], hosts: &[Host]) -> Vec<Guest> {
    let on = |kernel: Option<&Kernel>, host| Guest { kernel: kernel.cloned(), host, tasks: tasks(host, all, only) };
    let mut guests: Vec<_> = kernels.iter().map(|kernel| on(Some(kernel), Host::Whole)).collect();
    let poor: &[Host] = if all || !hosts.is_empty() { &Host::POOR } else { &[Host::NoBtf] };
    let one = kernels.iter().find(|kernel| kernel.series == "6.1").or_else(|| kernels.first());
    guests.extend(poor.iter().filter_map(|host| Some(on(Some(one?), *host))));
    guests.extend([Host::Uml, Host::UmlBtf].map(|host| on(None, host)));
    guests.retain(|guest| !guest.tasks.is_empty() && (hosts.is_empty() || hosts.contains(&guest.host)));
    guests
}

/// The guests of the brief form: these kernels as they are, and one that has nothing that we use.
pub(super) fn brief(kernels: &[Kernel]) -> Vec<Guest> {
    let on = |kernel: Option<&Kernel>, host| Guest { kernel: kernel.cloned(), host, tasks: told(host, BRIEF) };
    let kernels = kernels.iter().map(|kernel| on(Some(kernel), Host::Whole));
    kernels.chain([on(None, Host::Uml)]).collect()
}

fn tasks(host: Host, all: bool, only: &[String]) -> Vec<Task> {
    let is_wanted = |group: &Group| {
        if only.is_empty() { all || SHORT.contains(&group.name) } else { only.iter().any(|name| name == group.name) }
    };
    told(host, GROUPS.iter().copied().filter(is_wanted))
}

/// Groups as they are told on a host: on which tiers.
fn told(host: Host, groups: impl IntoIterator<Item = Group>) -> Vec<Task> {
    let (each, all_tiers) = host.tiers();
    let mut tasks = Vec::new();
    for group in groups.into_iter().filter(|group| host.is_for(group)) {
        match group.needs {
            Needs::Nothing => tasks.push(Task { group, tier: None }),
            Needs::Ebpf => tasks.extend(host.has_ebpf().then_some(Task { group, tier: Some("ebpf") })),
            Needs::ATier => tasks.extend(each.iter().map(|tier| Task { group, tier: Some(tier) })),
            Needs::ATierInNamespaces => {
                let tiers = each.iter().filter(|tier| **tier != "connector");
                tasks.extend(tiers.map(|tier| Task { group, tier: Some(tier) }));
            }
            Needs::AllTiers => tasks.push(Task { group, tier: Some(all_tiers) }),
        }
    }
    tasks
}
