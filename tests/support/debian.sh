# What brings tests the software that they need: sourced, with `cause` as the answer to why something is missing.

# Where Debian has servers, and an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin
# The same of postgresql, which is beside others of its kind there.
find_postgresql() {
  for directory in /usr/lib/postgresql/*/bin; do PATH=$directory:$PATH; done
}
find_postgresql

has() { # PROGRAM, whose name Debian may end with its version, as in php-fpm8.2
  command -v "$1" > /dev/null || ls "/usr/sbin/$1"[0-9]* > /dev/null 2>&1
}

missing_from() { # TABLE of programs and their packages: the packages of those that are missing
  while read -r program package _; do
    has "$program" || echo "$package"
  done << END
$1
END
}

cause="it takes root and apt-get to install it"
install_what_can_be() { # PACKAGES, if there are any
  [ $# -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 0
  cause="apt-get did not bring it"
  tests/support/install "$@" || true
  find_postgresql
}
