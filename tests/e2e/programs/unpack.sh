#!/bin/sh
# Archives over what the image has, and elsewhere; links, holes, a changed mode.
set -e
export PATH=/usr/sbin:/usr/bin
cd /srv
tar -xf tree.tar
mkdir /data/out
tar -xf tree.tar -C /data/out
truncate -s 5000000 /data/out/holes
cd /data/out
find . | busybox cpio -o -H newc > /tmp/out.cpio
mkdir /data/again
cd /data/again
busybox cpio -i -d < /tmp/out.cpio
rm -r /data/out
tar -cSf - -C /data again | gzip > /tmp/again.tgz
tar -xzf /tmp/again.tgz -C /tmp
chmod 600 /srv/tree/sub/file7
