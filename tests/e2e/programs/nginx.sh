#!/bin/sh
# nginx writes its logs, which are moved away under it and reopened.
set -e
export PATH=/usr/sbin:/usr/bin
mkdir -p /srv/www /data/nginx /var/log/nginx
echo hello > /srv/www/index.html
cat > /data/nginx/conf << 'CONF'
user root;
worker_processes 2;
pid /data/nginx/pid;
error_log /var/log/nginx/error.log;
events { }
http {
	access_log /var/log/nginx/access.log;
	client_body_temp_path /data/nginx/body;
	proxy_temp_path /data/nginx/proxy;
	fastcgi_temp_path /data/nginx/fastcgi;
	uwsgi_temp_path /data/nginx/uwsgi;
	scgi_temp_path /data/nginx/scgi;
	server { listen 127.0.0.1:8081; root /srv/www; }
}
CONF
nginx -c /data/nginx/conf
for round in 1 2 3; do
	for n in $(seq 50); do
		busybox wget -q -O /dev/null "http://127.0.0.1:8081/?$n"
	done
	mv /var/log/nginx/access.log /var/log/nginx/access.log.$round
	nginx -c /data/nginx/conf -s reopen
	gzip -f /var/log/nginx/access.log.$round
done
nginx -c /data/nginx/conf -s quit
