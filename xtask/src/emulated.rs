//! A release for aarch64 at work, on machines that QEMU stands in for: a program of this kernel, where only looking works, and
//! a whole machine with Debian's kernel for arm64, where the kernel programs have to work, too.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use crate::{arm64::Packages, say, step, vm::cpio::Archive, workspace};

/// What the story takes; the C library is for both.
const PACKAGES: [&str; 3] = ["libc6", "busybox-static", "coreutils"];
const KERNEL: &str = "linux-image-cloud-arm64";

/// In the order in which they can be loaded.
const MODULES: [&str; 2] = ["inet_diag", "tcp_diag"];

/// Until a machine that is emulated on a busy one has told its story, in seconds.
const LIMIT: &str = "900";

/// What every release has to do: `$w` is how it is run, `$d` a folder with the program `svc`, which sleeps. Each line that
/// counts begins with a mark.
const STORY: &str = r#"
say() { echo "@@ $*"; }
say version $($w --version)
$w --help > $d/help && grep -q Usage $d/help && say help yes
printf '%s\n' 'IPCKEY 0x7' 'MSG_CHECK_INTERVAL 1' 'MONITOR_INTERVAL 1' "$d/svc:$d/start.sh:86400:3:exit" > $d/pfile
printf '%s\n' '#!/bin/sh' "$d/svc 1000 </dev/null >/dev/null 2>&1 &" 'echo $! > $0.pid' > $d/start.sh
chmod 755 $d/start.sh
$w check $d/pfile > $d/checked 2>&1 && say check yes || cat $d/checked
# There is no such process yet.
$w explain $d/pfile > $d/explained 2>&1 || true
grep -q "^entry 1" $d/explained && say explain yes || cat $d/explained
$w doctor > $d/doctor || true
sed 's/^/@@ doctor /' $d/doctor
for tier in $(sed -n 's/^tier \([a-z]*\) *yes$/\1/p' $d/doctor); do
    $d/svc 1000 & victim=$!
    : > $d/said
    $w watch --tier $tier --interval 0.05 $victim 2> $d/said > $d/told & watch=$!
    until grep -q watching $d/said; do sleep 0.1; kill -0 $watch; done
    kill -9 $victim
    wait $watch
    say watch $tier: $(cat $d/told)
    $d/svc 1000 & first=$!
    : > $d/log
    $w pcheck -f $d/pfile --run-dir $d/run --log stderr --tier $tier 2> $d/log & pcheck=$!
    until grep -q "pid=$first) Up" $d/log; do sleep 0.1; kill -0 $pcheck; done
    kill -9 $first
    until [ $(grep -c ') Up' $d/log) = 2 ]; do sleep 0.1; kill -0 $pcheck; done
    kill $pcheck
    wait $pcheck || say pcheck has ended with $?
    kill -9 $(cat $d/start.sh.pid)
    sed "s/^pcheck.[0-9]*.: /@@ pcheck $tier: /" $d/log
done
say told to its end
"#;

/// Runs it on both.
pub(crate) fn run(shell: &Shell, binary: &Path) -> anyhow::Result<()> {
    step("a release for aarch64 on emulated machines");
    let root = workspace::target()?.join("aarch64-debian");
    if !root.join("boot").exists() {
        fetch(shell, &root)?;
    }
    say("as a program of this kernel");
    let told = as_a_program(shell, binary, &root)?;
    judge(&told, &["poll"])?;
    say("on a machine with Debian's kernel");
    let told = on_a_machine(shell, binary, &root)?;
    judge(&told, &["ebpf", "pidfd", "connector", "poll"])
}

fn fetch(shell: &Shell, root: &Path) -> anyhow::Result<()> {
    say(&format!("fetching a kernel and a few programs for arm64 into {}", root.display()));
    let packages = Packages::into(shell, root)?;
    for package in PACKAGES {
        packages.unpack(shell, package)?;
    }
    let kernels = packages.depends_on(shell, KERNEL)?;
    let kernel =
        kernels.iter().find(|name| name.starts_with("linux-image-")).context("Debian has no kernel for arm64")?;
    packages.unpack(shell, kernel)?;
    packages.done(shell)
}

/// The calls of the binary are translated to those of this kernel; netlink and bpf() are not.
fn as_a_program(shell: &Shell, binary: &Path, root: &Path) -> anyhow::Result<String> {
    let folder = shell.create_temp_dir()?;
    let here = folder.path();
    shell.copy_file("/bin/sleep", here.join("svc"))?;
    let w = format!("qemu-aarch64-static -L {} {}", root.display(), binary.display());
    let has_qemu = cmd!(shell, "qemu-aarch64-static --version").quiet().ignore_stdout().run();
    has_qemu.context("apt-get install qemu-user-static")?;
    let told = cmd!(shell, "timeout {LIMIT} sh -euc {STORY}").env("w", w).env("d", here).quiet().ignore_stderr();
    Ok(told.ignore_status().read()?)
}

fn on_a_machine(shell: &Shell, binary: &Path, root: &Path) -> anyhow::Result<String> {
    let place = workspace::target()?.join("vm");
    shell.create_dir(&place)?;
    let (disk, log) = (place.join("aarch64-image"), place.join("aarch64-log"));
    let boot = shell.read_dir(root.join("boot"))?;
    let is_kernel =
        |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    let kernel = boot.iter().find(is_kernel).context("the package of the kernel holds none")?;
    shell.remove_path(&log)?;
    std::fs::write(&disk, image(shell, binary, root)?)?;
    let machine = ["-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-m", "1024", "-smp", "2"];
    let bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none"];
    let line = "console=ttyAMA0 panic=-1 quiet mitigations=off random.trust_cpu=on nokaslr";
    let qemu = cmd!(
        shell,
        "timeout -k 3 {LIMIT} qemu-system-aarch64 {machine...} {bare...} -serial file:{log} -kernel {kernel} -initrd {disk} -append {line}"
    );
    // What it achieved is in its log.
    qemu.quiet().ignore_status().ignore_stdout().run().context("apt-get install qemu-system-arm")?;
    shell.remove_path(disk)?;
    say(&format!("its console: {}", log.display()));
    Ok(String::from_utf8_lossy(&std::fs::read(log)?).replace('\r', ""))
}

/// The first file system.
fn image(shell: &Shell, binary: &Path, root: &Path) -> anyhow::Result<Vec<u8>> {
    let mut image = Archive::default();
    for folder in ["bin", "dev", "lib", "proc", "root", "run", "sys", "tmp", "t"] {
        image.folder(folder);
    }
    image.link("lib64", "lib");
    let find = |name: &str| -> anyhow::Result<PathBuf> {
        let found = cmd!(shell, "find {root} -name {name} -not -path */doc/*").quiet().read()?;
        Ok(found.lines().next().with_context(|| format!("the packages hold no {name}"))?.into())
    };
    for library in ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"] {
        image.copy(&format!("lib/{library}"), &find(library)?)?;
    }
    image.copy("bin/busybox", &root.join("bin/busybox"))?;
    for applet in ["sh", "mount", "ip", "insmod", "reboot", "cat", "grep", "sed", "sleep", "chmod"] {
        image.link(&format!("bin/{applet}"), "busybox");
    }
    image.copy("t/svc", &root.join("bin/sleep"))?;
    image.copy("t/watcher", binary)?;
    let mut insert = String::new();
    for module in MODULES {
        image.copy(&format!("t/{module}.ko"), &find(&format!("{module}.ko"))?)?;
        insert.push_str(&format!("insmod /t/{module}.ko\n"));
    }
    let begin = "#!/bin/sh\nmount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev\n";
    let story = format!("ip link set lo up\nexport w=/t/watcher d=/t\n(set -eu; {STORY})\nreboot -f\n");
    image.file("init", 0o755, format!("{begin}{insert}{story}").as_bytes());
    Ok(image.finish())
}

/// Whether the story was told to its end, with a death on each of these tiers.
fn judge(told: &str, tiers: &[&str]) -> anyhow::Result<()> {
    let lines: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("@@ ")).collect();
    lines.iter().for_each(|line| say(line));
    let has = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    for wanted in ["version watcher ", "help yes", "check yes", "explain yes", "told to its end"] {
        ensure!(has(wanted), "it does not work there: no {wanted:?} in\n{told}");
    }
    for tier in tiers {
        let death = lines.iter().find(|line| line.starts_with(&format!("watch {tier}: ")));
        let death = death.with_context(|| format!("no death was told by tier {tier}"))?;
        // The shell may have taken notice of it before a look.
        let is_right = death.contains("killed by SIGKILL") || *tier == "poll" && death.contains(": ended after ");
        ensure!(is_right, "a death was not told as it was: {death}");
        let of_pcheck = format!("pcheck {tier}: ");
        let ups = lines.iter().filter(|line| line.starts_with(&of_pcheck) && line.ends_with(") Up")).count();
        ensure!(ups == 2, "a service was not brought back on tier {tier}");
    }
    Ok(())
}
