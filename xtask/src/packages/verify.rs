//! Packages on a host: what the checkers of the distributions say, and install, use, upgrade, remove in a Debian 11 of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use super::{Release, pack};
use crate::{old_library, say, step, workspace};

/// What the next release is called: later than this one for both kinds of packages.
const NEXT: &str = "+next";

/// A story in folders that nobody else sees, and that vanish with it: `$0` is Debian 11, `$1` an empty folder, `$2` one with
/// packages, `$3` the story. Nobody whom it starts outlives it.
const INSIDE: &str = r#"set -e
mount -t tmpfs none "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$0,upperdir=$1/up,workdir=$1/work" none "$1/root"
root=$1/root
mount -t proc none "$root/proc"
mount --rbind /sys "$root/sys"
for file in null urandom; do
    touch "$root/dev/$file"
    mount --bind "/dev/$file" "$root/dev/$file"
done
mkdir "$root/packages" "$root/next"
mount --bind "$2" "$root/packages"
mount --bind "$2/next" "$root/next"
eval "$3""#;

/// How Debian's packages are dealt with.
const DEB: &str = r#"conf=/etc/default/watcher
install() { inside sh -c 'dpkg -i /packages/watcher_*.deb /packages/watcher-compat_*.deb'; }
upgrade() { inside sh -c 'dpkg -i /next/watcher_*.deb'; }
remove() { inside dpkg -r watcher-compat watcher; }
purge() { inside dpkg -P watcher; }
"#;

/// The same of RPM's, by the program of this host. Debian's libraries are not in its list: hence `--nodeps`.
const RPM: &str = r#"conf=/etc/sysconfig/watcher
rpm() { command rpm --force-debian --root "$root" --dbpath /var/lib/rpm --nodeps "$@"; }
install() { rpm -i "$root"/packages/watcher-*.rpm; }
upgrade() { rpm -U "$root"/next/watcher-[0-9]*.rpm; }
remove() { rpm -e watcher-compat watcher; }
purge() { rm -f "$root$conf.rpmsave"; }
"#;

/// What a host goes through. `$conf` is where options are.
const STORY: &str = r#"inside() { chroot "$root" "$@"; }
say() { echo "@@ $*"; }
must() { "$@" || { echo "this failed: $*"; exit 1; }; }
soon() { left=600; until "$@"; do sleep 0.1; left=$((left - 1)); must [ $left -gt 0 ]; must kill -0 $daemon; done; }
counted() { [ "$(grep -c ') Up' "$root/log")" = "$1" ]; }
# Whoever is paused is not looked at after a start: proc_sts is INIT then.
shown() { now=$(inside padmin -f $pfile -c show pent 2>/dev/null | grep -v proc_sts); [ -n "$now" ]; }
same() { shown && [ "$now" = "$before" ]; }
# Not by `inside`: this pid has to be the daemon's.
starts() { chroot "$root" /usr/sbin/watcher run -d /etc/watcher/rules.d --log stderr 2>>"$root/log" & daemon=$!; }
install
say installed "$(inside watcher --version)"
must [ "$(inside readlink -f /opt/HA/PS/bin/pcheck)" = /usr/sbin/watcher ]
must [ "$(inside clp_httpmon --version)" = "$(inside watcher --version)" ]
for file in usr/share/man/man8/pcheck.8.gz usr/share/man/man8/watcher-httpmon.8.gz usr/share/man/man5/pfile.5.gz \
    usr/lib/systemd/system/watcher.service usr/share/bash-completion/completions/padmin usr/share/doc/watcher/rules/README.md; do
    must [ -s "$root/$file" ]
done
must [ -d "$root/etc/watcher/rules.d" ]
must [ -d "$root/var/opt/HA/PS/conf/bin" ]
must [ ! -e "$root/etc/systemd/system/multi-user.target.wants/watcher.service" ]
for pfile in "$root"/usr/share/watcher/rules/*/*.pfile; do
    must inside watcher check --no-host "${pfile#"$root"}" >/dev/null
done

cp "$root/bin/sleep" "$root/usr/local/bin/svc"
printf '%s\n' '#!/bin/sh' '/usr/local/bin/svc 10000 </dev/null >/dev/null 2>&1 &' 'echo $! >/svc.pid' >"$root/etc/watcher/svc.sh"
chmod 755 "$root/etc/watcher/svc.sh"
pfile=/etc/watcher/rules.d/svc.pfile
printf '%s\n' 'IPCKEY 0x7' 'MSG_CHECK_INTERVAL 5' 'MONITOR_INTERVAL 1' \
    '/usr/local/bin/svc:/etc/watcher/svc.sh:86400:5:exit' >"$root$pfile"
: >"$root/log"
starts
soon counted 1
kill -9 "$(cat "$root/svc.pid")"
soon counted 2
svc=$(cat "$root/svc.pid")
must inside padmin -f $pfile -c stop 1
must shown
before=$now
say used: "$(grep -c 'Try to restart' "$root/log")" restarts, then paused

echo '# mine' >>"$root$conf"
upgrade
say upgraded "$(inside watcher --version)"
must kill -0 $daemon
must kill -0 "$svc"
must grep -q '# mine' "$root$conf"
must same
# As docs/install.md says: killed, it leaves counts and pauses to the next one.
kill -9 $daemon
wait $daemon || true
starts
soon same
say counts and pauses are kept

remove
must kill -0 $daemon
must kill -0 "$svc"
for file in usr/sbin/watcher usr/share/watcher usr/share/doc/watcher opt/HA; do must [ ! -e "$root/$file" ]; done
must grep -qs '# mine' "$root$conf" "$root$conf.rpmsave"
purge
must [ ! -e "$root$conf" ]
must [ -e "$root$pfile" ]
kill $daemon
wait $daemon
must kill -0 "$svc"
say removed, and what was watched lives on
"#;

const LAST_LINE: &str = "@@ removed, and what was watched lives on";

/// Looks at what [`pack`] has made.
pub(crate) fn run(shell: &Shell, release: &Release, packages: &[PathBuf]) -> anyhow::Result<()> {
    let folder = workspace::target()?.join("packages");
    shell.remove_path(&folder)?;
    shell.create_dir(&folder)?;
    step("packages are made the same a second time");
    for (first, second) in packages.iter().zip(pack(shell, release, &folder)?) {
        let same = fs::read(first)? == fs::read(&second)?;
        ensure!(same, "{} and {} differ, and should not", first.display(), second.display());
    }
    check(shell, packages)?;
    let next = Release { version: format!("{}{NEXT}", release.version), ..release.clone() };
    pack(shell, &next, &folder.join("next"))?;
    tell(shell, &folder)?;
    Ok(shell.remove_path(&folder)?)
}

/// What the checkers of the distributions say.
fn check(shell: &Shell, packages: &[PathBuf]) -> anyhow::Result<()> {
    step("packages as the distributions' checkers see them");
    let of_kind = |kind: &'static str| packages.iter().filter(move |path| path.extension() == Some(kind.as_ref()));
    let debs: Vec<_> = of_kind("deb").collect();
    cmd!(shell, "lintian --allow-root --fail-on error,warning --tag-display-limit 0 {debs...}")
        .quiet()
        .run()
        .context("lintian is not content, or not there (apt-get install lintian)")?;
    let rpms: Vec<_> = of_kind("rpm").collect();
    let settings = workspace::root()?.join("dist/rpm/rpmlint.toml");
    match cmd!(shell, "rpmlint --version").quiet().ignore_stdout().ignore_stderr().run() {
        Ok(()) => cmd!(shell, "rpmlint --strict --config {settings} {rpms...}").quiet().run()?,
        Err(_) => say("rpmlint is not there, and was not asked (pip install rpmlint)"),
    }
    Ok(())
}

/// Packages in this folder, and the next release in one below.
fn tell(shell: &Shell, folder: &Path) -> anyhow::Result<()> {
    step("packages on Debian 11: install, use, upgrade, remove");
    let debian = old_library::root(shell)?;
    let scratch = folder.join("scratch");
    shell.create_dir(&scratch)?;
    for (kind, by) in [("deb", DEB), ("rpm", RPM)] {
        let story = format!("{by}{STORY}");
        let told =
            cmd!(shell, "unshare --mount --pid --fork --kill-child sh -c {INSIDE} {debian} {scratch} {folder} {story}")
                .quiet()
                .ignore_status()
                .read()?;
        told.lines().for_each(|line| say(&format!("{kind}: {line}")));
        ensure!(told.lines().any(|line| line == LAST_LINE), "the story by {kind} was not told to its end");
    }
    Ok(())
}
