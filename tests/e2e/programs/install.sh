#!/bin/sh
# Install with dpkg and apt, remove, purge.
set -e
export PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive
dpkg -i /debs/lib_1.deb
apt-get -o APT::Sandbox::User=root -y install /debs/user_1.deb
dpkg -r user
apt-get -o APT::Sandbox::User=root -y install /debs/user_1.deb
dpkg -P user lib
