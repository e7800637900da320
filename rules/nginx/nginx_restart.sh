#!/bin/sh
# Brings nginx back: ends what is left of it, then starts it. Run twice, it leaves one running all the same.

export LANG=C

unit=nginx
program=/usr/sbin/nginx
# Seconds until force is used.
patience=10

# Whether no process has such a command line, now or within some seconds.
gone() {
    left=$2
    while pgrep --ns $$ --nslist pid -f "^$1" >/dev/null; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

# Ends every process whose command line begins with this pattern: politely, and when patience is at its end by force.
end_all() {
    pkill -TERM --ns $$ --nslist pid -f "^$1" || return 0
    gone "$1" "$patience" && return 0
    pkill -KILL --ns $$ --nslist pid -f "^$1"
    gone "$1" 10
}

# Under systemd the unit ends what is left of it, and runs outside of pcheck's control group.
if [ -d /run/systemd/system ]; then
    exec systemctl restart "$unit"
fi

# Workers outlive a master that was killed, and hold the port.
end_all 'nginx: ' || exit 1
exec "$program"
