#!/bin/sh
# Brings Tomcat back: ends what is left of it, then starts it. Run twice, it leaves one running all the same.

export LANG=C

unit=tomcat
CATALINA_HOME=/usr/local/tomcat
CATALINA_PID=/run/tomcat.pid
export CATALINA_HOME CATALINA_PID

# Under systemd the unit ends what is left of it, and runs outside of pcheck's control group.
if [ -d /run/systemd/system ]; then
    exec systemctl restart "$unit"
fi

# A java that stalled holds the port. catalina.sh ends it by its pid file, by force after ten seconds.
if [ -s "$CATALINA_PID" ]; then
    "$CATALINA_HOME/bin/catalina.sh" stop 10 -force
fi
# Somebody may have started it without a pid file: then by what stands on its command line. Several may share a home, but
# no two of them a base.
pkill -KILL --ns $$ --nslist pid -f -- "-Dcatalina.base=${CATALINA_BASE:-$CATALINA_HOME} "
exec "$CATALINA_HOME/bin/catalina.sh" start
