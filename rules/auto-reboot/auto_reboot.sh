#!/bin/sh
# Reboots the host when pcheck gives up, but not for ever: after too many reboots it stops and says so.
#
# usage: auto_reboot.sh PFILE
# Exit codes: those of pcheck when there is nothing to do; 10 when the threshold is reached; 1 for a wrong call.

export LANG=C

pcheck=${PCHECK:-pcheck}
# Replace it by `echo` for a dry run.
reboot=${REBOOT:-systemctl reboot}
# One line for each reboot: seconds since 1970.
record=${RECORD:-/var/opt/HA/PS/auto_reboot.record}
threshold=${THRESHOLD:-3}
window=${WINDOW:-86400}
# How long somebody can stop it, by SIGTERM, before the reboot.
wait_seconds=${WAIT_SECONDS:-60}

gave_up=4
threshold_reached=10

say() {
    logger -t auto_reboot -p daemon.crit -- "$1" 2>/dev/null
    echo "auto_reboot: $1" >&2
}

if [ $# -ne 1 ] || [ ! -r "$1" ]; then
    echo "usage: auto_reboot.sh PFILE" >&2
    exit 1
fi

# Before there is a child: a signal may come at any moment. It is passed on, and interrupts the waiting.
stopped=
child=
trap 'stopped=yes; interrupted=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
"$pcheck" -f "$1" &
child=$!
[ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null
interrupted=yes
while [ -n "$interrupted" ]; do
    interrupted=
    wait "$child"
    code=$?
done
trap - TERM INT
if [ "$code" -ne "$gave_up" ]; then
    exit "$code"
fi

now=$(date +%s)
recent=
count=0
if [ -r "$record" ]; then
    while read -r at; do
        if [ "$at" -gt $((now - window)) ] 2>/dev/null; then
            recent="$recent$at
"
            count=$((count + 1))
        fi
    done <"$record"
fi
if [ "$count" -ge "$threshold" ]; then
    say "$count reboots in $window seconds were in vain; not again"
    exit "$threshold_reached"
fi

# Written aside and renamed, and on the disk before the reboot: a lost line would be a reboot too many.
if ! { printf '%s%s\n' "$recent" "$now" >"$record.new" && sync "$record.new" && mv "$record.new" "$record"; }; then
    say "$record cannot be written; without it the reboots cannot be counted, so there is none"
    exit "$threshold_reached"
fi
say "reboot $((count + 1)) of $threshold in $wait_seconds seconds"
sleep "$wait_seconds"
# shellcheck disable=SC2086 # a command and its arguments
exec $reboot
