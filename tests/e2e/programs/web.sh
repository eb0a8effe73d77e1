#!/bin/sh
# A web server writes its log, which is rotated and compressed under it.
set -e
export PATH=/usr/sbin:/usr/bin
mkdir -p /srv/www /var/log/web
echo hello > /srv/www/index.html
busybox ip link set lo up 2> /dev/null || true
busybox httpd -f -vv -p 127.0.0.1:8080 -h /srv/www 2>> /var/log/web/access.log &
server=$!
until busybox wget -q -O /dev/null http://127.0.0.1:8080/; do :; done
for round in 1 2 3; do
	for n in $(seq 30); do
		busybox wget -q -O /dev/null "http://127.0.0.1:8080/?$n" || true
	done
	cp /var/log/web/access.log /var/log/web/access.log.$round
	: > /var/log/web/access.log
	gzip /var/log/web/access.log.$round
done
kill $server
wait $server || true
