# The release that it is built on, and whose patched curl and OpenSSL go into the binary; or trixie, whose
# OpenSSL has upstream's support, where its newest sources can be had (docs/footprint.md, "Which OpenSSL").
ARG DEBIAN_RELEASE=bookworm
# As in the Makefile; the build fails if it is not.
ARG VERSION=2.0.0
# Predefined, but not by every buildah: then --build-arg BUILDPLATFORM=linux/amd64 with --platform.
ARG BUILDPLATFORM

# The build stage runs on the machine that builds, and cross-compiles where --platform is another.
FROM --platform=$BUILDPLATFORM debian:${DEBIAN_RELEASE}-slim AS build
ARG VERSION
ARG TARGETARCH
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends make
COPY Makefile ./
RUN make deps-static ARCH=$TARGETARCH
COPY static static
RUN make libs ARCH=$TARGETARCH
COPY *.c *.h ./
RUN [ "$(make -s version)" = "$VERSION" ] && make static ARCH=$TARGETARCH && mkdir /image && \
    mv build/static*/cleanup-grpc build/static*/sbom.spdx.json /image/
# What a template's old `command` calls: the program takes the place of the script (invocation.h).
RUN mkdir -p /image/bin /image/usr/bin && ln -s ../cleanup-grpc /image/bin/sh && \
    ln -s ../cleanup-grpc /image/bin/bash && ln -s ../../cleanup-grpc /image/usr/bin/env

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="cleanup-grpc" \
      org.opencontainers.image.description="Watches one streaming job and tears it down when it has ended" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/cleanup-grpc"]
