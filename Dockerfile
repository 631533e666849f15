# An image with one file in it: the program.
#
#   make image                 copies the program that was built on this machine; needs no registry
#   make image-from-source     builds the program in a container, as does
#                              docker buildx build --platform linux/amd64,linux/arm64 .
#
# The stage that needs no registry comes first, because podman and buildah of Debian 12 build all stages before the one asked for.
# To build for another platform, those versions need --build-arg BUILDPLATFORM=linux/amd64.

# Any image with rustup and cargo will do.
ARG RUST_IMAGE=rust:1-slim

# What all images share.
#
# There is no USER, because only root with CAP_KILL or a process of the same uid may signal an application. Any other uid gets
# EPERM, even with added capabilities: the kubelet gives those to root only. In a Pod, set runAsUser to the application's uid,
# or run as root with every capability dropped but KILL.
FROM scratch AS base
ARG VERSION
ARG SOURCE
LABEL org.opencontainers.image.title="config-reloader-sidecar" \
      org.opencontainers.image.description="Signals an application when its mounted Kubernetes configuration changes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.source="$SOURCE"
ENTRYPOINT ["/config-reloader-sidecar"]

# Copies the program at this path in the build context.
FROM base AS local
ARG PROGRAM
COPY $PROGRAM /config-reloader-sidecar

# Cross-compiles on the building machine's own architecture, so that nothing is emulated. Rust's own linker (.cargo/config.toml)
# can link for all platforms.
FROM --platform=$BUILDPLATFORM $RUST_IMAGE AS build
WORKDIR /build
COPY . .
ARG TARGETPLATFORM
RUN set -eu; \
    case "$TARGETPLATFORM" in \
      linux/amd64) target=x86_64-unknown-linux-musl ;; \
      linux/arm64 | linux/arm64/*) target=aarch64-unknown-linux-musl ;; \
      linux/arm/v7) target=armv7-unknown-linux-musleabihf ;; \
      linux/riscv64) target=riscv64gc-unknown-linux-musl ;; \
      linux/ppc64le) target=powerpc64le-unknown-linux-musl ;; \
      linux/s390x) target=s390x-unknown-linux-musl ;; \
      *) echo "cannot build for the platform '$TARGETPLATFORM'" >&2; exit 1 ;; \
    esac; \
    .cargo/cross "$target"; \
    chmod 755 "target/$target/release/config-reloader-sidecar"; \
    mv "target/$target/release/config-reloader-sidecar" .

FROM base
COPY --from=build /build/config-reloader-sidecar /
