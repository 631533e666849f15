#!/bin/sh
# Like the entrypoints of database images: initialise a cluster if there is none, then execute the command.
set -e
case $1 in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && [ ! -e "$PGDATA" ]; then
  initdb --no-sync --no-locale --username postgres --pgdata "$PGDATA"
elif [ "$1" = mariadbd ] && [ ! -e /var/lib/mysql/mysql ]; then
  mariadb-install-db --no-defaults --skip-test-db --auth-root-authentication-method=normal
  # As root may have no password here.
  set -- "$@" --general-log --general-log-file=/tmp/general.log
fi
exec "$@"
