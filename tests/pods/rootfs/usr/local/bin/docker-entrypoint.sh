#!/bin/sh
# Creates a database if there is none and runs the command, like the entry points of the official images.
set -e
case $1 in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && [ ! -e "$PGDATA" ]; then
  initdb --no-sync --no-locale --username postgres --pgdata "$PGDATA"
elif [ "$1" = mariadbd ] && [ ! -e /var/lib/mysql/mysql ]; then
  # Root gets no password, whatever MARIADB_RANDOM_ROOT_PASSWORD says.
  mariadb-install-db --no-defaults --skip-test-db --auth-root-authentication-method=normal
  set -- "$@" --general-log --general-log-file=/tmp/general.log
fi
exec "$@"
