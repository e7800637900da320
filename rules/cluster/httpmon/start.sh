#!/bin/sh
# Start script of an EXEC resource of CLUSTERPRO: monitors the HTTP server of this failover group. Make the resource
# asynchronous, and let a pid monitor watch it: when the server fails, the monitor ends, and with it this script.

# Where clp_httpmon is, on hosts whose scripts get a shorter PATH.
PATH=$PATH:/usr/sbin:/usr/local/sbin
export PATH

# Says why nothing is monitored. To the cluster that is no failure of this resource.
nothing() {
    echo "clp_httpmon is not started: $1"
    exit 0
}

case $CLP_EVENT in
START | FAILOVER) ;;
*) nothing "CLP_EVENT is '$CLP_EVENT', neither START nor FAILOVER" ;;
esac
[ "$CLP_DISK" = SUCCESS ] || nothing "CLP_DISK is '$CLP_DISK' at $CLP_EVENT"

if [ "$CLP_SERVER" = HOME ]; then
    where="its home server"
else
    where="another server"
fi
echo "clp_httpmon starts: $CLP_EVENT on $where"

# The identifier is that of stop.sh. Options come after it: see clp_httpmon --help.
exec clp_httpmon httpwatch
