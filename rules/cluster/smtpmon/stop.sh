#!/bin/sh
# Stop script of an EXEC resource of CLUSTERPRO: ends what start.sh has started, before the SMTP server is stopped.

PATH=$PATH:/usr/sbin:/usr/local/sbin
export PATH

# Says why nothing is ended. To the cluster that is no failure of this resource.
nothing() {
    echo "clp_smtpmon is not stopped: $1"
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
echo "clp_smtpmon stops: $CLP_EVENT on $where"

# The identifier is that of start.sh. A monitor that has ended by itself cannot be stopped, and need not be.
clp_smtpmon smtpwatch --stop || echo "clp_smtpmon could not be stopped; it may have ended before"
exit 0
