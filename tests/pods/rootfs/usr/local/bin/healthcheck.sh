#!/bin/sh
# MariaDB's own, of which the Pods use `--connect`: a client is answered.
exec mariadb --no-defaults --user root --execute 'select 1'
