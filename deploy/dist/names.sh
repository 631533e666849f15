# shellcheck shell=sh
# shellcheck disable=SC2034 # used by the scripts that source this
# The names of what is distributed. Sourced, in the root of the repository.

program=config-reloader-sidecar
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
dist=target/dist

# Prints the Rust target of a platform.
triple_of() { # PLATFORM
  case $1 in
    amd64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    arm/v7) echo armv7-unknown-linux-musleabihf ;;
    riscv64) echo riscv64gc-unknown-linux-musl ;;
    ppc64le) echo powerpc64le-unknown-linux-musl ;;
    s390x) echo s390x-unknown-linux-musl ;;
    *) echo "unknown platform: $1" >&2; return 1 ;;
  esac
}

# Prints the path of a platform's release program.
built_for() { # PLATFORM
  echo "target/$(triple_of "$1")/release/$program"
}

# Prints the path of a platform's files in target/dist, without an extension.
distributed_for() { # PLATFORM
  echo "$dist/$program-$version-linux-$(echo "$1" | tr / -)"
}
