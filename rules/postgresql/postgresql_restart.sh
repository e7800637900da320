#!/bin/sh
# Brings PostgreSQL back: ends what is left of it, then starts it. Run twice, it leaves one running all the same.

export LANG=C

# Debian: postgresql@15-main.
unit=postgresql@15-main
program=/usr/lib/postgresql/15/bin/postgres
data=/var/lib/postgresql/15/main
config=/etc/postgresql/15/main/postgresql.conf
owner=postgres

# Under systemd the unit ends what is left of it, and runs outside of pcheck's control group.
if [ -d /run/systemd/system ]; then
    exec systemctl restart "$unit"
fi

# Children notice that the postmaster has gone and end by themselves; a new one refuses to start before. They are never
# ended by force here, and postmaster.pid is never removed: both can cost data.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    pgrep --ns $$ --nslist pid -u "$owner" -f '^postgres: ' >/dev/null || break
    sleep 1
done
# "Already running" is what we want, too.
"${program%/*}/pg_ctl" --version >/dev/null || exit 1
runuser -u "$owner" -- "${program%/*}/pg_ctl" status -D "$data" >/dev/null && exit 0
exec runuser -u "$owner" -- "${program%/*}/pg_ctl" start -D "$data" -o "-c config_file=$config" -w -t 60
