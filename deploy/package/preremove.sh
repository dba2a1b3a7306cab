#!/bin/sh
# The argument is dpkg's or rpm's: upgrade or 1 before a new version comes.
set -e
case $1 in upgrade | 1) exit 0 ;; esac
command -v systemctl >/dev/null || exit 0
systemctl disable tokenrelay-worker.service tokenrelay-console.service
[ -d /run/systemd/system ] || exit 0
systemctl stop tokenrelay-worker.service tokenrelay-console.service
