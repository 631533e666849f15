# shellcheck shell=sh
# shellcheck disable=SC2034 # used by the scripts that source this
# Installs the software that tests need from Debian's packages. Sourced, in the root of the repository.

# Servers are here, and not in an ordinary user's path.
PATH=$PATH:/usr/sbin:/sbin
# Debian keeps PostgreSQL's programs in a directory for each version.
find_postgresql() {
  for directory in /usr/lib/postgresql/*/bin; do PATH=$directory:$PATH; done
}
find_postgresql

# True if there is such a program. Debian may add a version to its name, as in php-fpm8.2.
has() { # PROGRAM
  command -v "$1" > /dev/null || ls "/usr/sbin/$1"[0-9]* > /dev/null 2>&1
}

# Prints the packages of the programs that are missing. A line of the table is a program and its package.
missing_from() { # TABLE
  while read -r program package _; do
    has "$program" || echo "$package"
  done << END
$1
END
}

# Why a program is missing after all, for messages.
cause="installing it takes root and apt-get"
# Installs packages if that is possible.
install_what_can_be() { # [PACKAGE...]
  [ $# -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 0
  cause="apt-get could not install it"
  tests/support/install "$@" || true
  find_postgresql
}
