#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What an intruder, or a careless administrator, does to a running container.
# scripts/try runs this inside `driftwatch run`, with a volume at /data: the
# commands below change a throwaway copy of this machine's root, not the machine.
set -u

say() {
	printf '\n== %s\n' "$1"
}

say 'a configuration file is edited: /etc/environment'
echo 'http_proxy=http://10.0.0.66:3128' >> /etc/environment

say 'a program is dropped and executed: /usr/local/bin/miner'
cp /bin/true /usr/local/bin/miner
chmod 755 /usr/local/bin/miner
/usr/local/bin/miner

say 'a library is changed by one byte, which copies all of it up'
library=$(find /usr/lib -xdev -name 'libz.so.1.*' -type f | head -n 1)
printf 'x' >> "$library" && echo "$library"

say 'a file of the image is deleted: /etc/issue.net'
rm -f /etc/issue.net

say 'no drift: an order written to the volume at /data'
[ ! -d /data ] || echo 'an order' >> /data/orders.log

say 'no drift: a cache written to a tmpfs, /dev/shm'
echo 'a cache' > /dev/shm/cache
