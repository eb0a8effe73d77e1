#!/bin/sh
# The package that the image has, installed once more: same content, same times.
set -e
export PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive
dpkg -i /debs/app_1.deb
