#!/bin/sh
# A new version over the one that a lower layer has.
set -e
export PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive
echo '# changed by the administrator' >> /etc/app.conf
dpkg --force-confold -i /debs/app_2.deb
dpkg --verify app || true
