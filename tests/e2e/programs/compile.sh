#!/bin/sh
# A build, a change, a second build, an installation.
set -e
export PATH=/usr/sbin:/usr/bin
cd /src
make -j2
touch inc/all.h f1.c
echo '/* changed */' >> f2.c
make -j2
strip -o /opt/prog prog
install -m 755 prog /usr/../srv/prog
make clean
