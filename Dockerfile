# An image with one file in it: the program.
#
#   make image                 from the program that was built here; needs no registry
#   make image-from-source     as this file does by itself: docker buildx build --platform linux/amd64,linux/arm64 .
#
# Old versions of podman and buildah (Debian 12 has some) build every stage before the one that is asked for: hence the order,
# what needs no registry first. To build for another platform than their own they need --build-arg BUILDPLATFORM=linux/amd64.

# Any image with rustup and cargo, for instance one of a mirror.
ARG RUST_IMAGE=rust:1-slim

# What the images have in common.
#
# There is no USER. Whoever may signal a process has its uid, or is root with CAP_KILL. A fixed uid other than the
# application's gets EPERM, whatever capabilities are added to it: the kubelet gives those to root only. So either
# runAsUser names the application's uid, or root stays root, with every capability dropped but KILL.
FROM scratch AS base
ARG VERSION
ARG SOURCE
LABEL org.opencontainers.image.title="config-reloader-sidecar" \
      org.opencontainers.image.description="Signals an application when its mounted Kubernetes configuration changes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.source="$SOURCE"
ENTRYPOINT ["/config-reloader-sidecar"]

# The program at this path in the context.
FROM base AS local
ARG PROGRAM
COPY $PROGRAM /config-reloader-sidecar

# Runs on the building machine's own architecture and builds for the other: nothing is emulated. The toolchain's own linker
# (.cargo/config.toml) knows them all.
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
