#!/bin/sh
# Brings sshd back: ends what is left of it, then starts it. Run twice, it leaves one running all the same.

export LANG=C

program=/usr/sbin/sshd
# Debian calls the unit ssh.
unit=sshd
if [ -e /lib/systemd/system/ssh.service ]; then
    unit=ssh
fi

# Under systemd the unit ends what is left of it, and runs outside of pcheck's control group.
if [ -d /run/systemd/system ]; then
    exec systemctl restart "$unit"
fi

# Sessions are left alone on purpose: one of them may be the only way in. They do not hold the port.
"$program" -t || exit 1
pgrep --ns $$ --nslist pid -f '^sshd: .*\[listener\]' >/dev/null && exit 0
exec "$program"
