# The release whose patched curl and OpenSSL go into the binary: bookworm, the newest whose latest
# curl source package every mirror that we build from holds (for trixie, one lags behind its security
# updates). 13 builds, too: --build-arg DEBIAN_RELEASE=trixie.
ARG DEBIAN_RELEASE=bookworm
# As in the Makefile; the build fails if it is not.
ARG VERSION=2.0.0

FROM debian:${DEBIAN_RELEASE}-slim AS build
ARG VERSION
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends make
COPY Makefile ./
RUN make deps-static
COPY static static
RUN make libcurl
COPY *.c *.h ./
RUN make static && [ "$(build/static/cleanup-grpc --version)" = "cleanup-grpc $VERSION" ]

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="cleanup-grpc" \
      org.opencontainers.image.description="Watches one streaming job and tears it down when it has ended" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /src/build/static/cleanup-grpc /cleanup-grpc
USER 65532:65532
ENTRYPOINT ["/cleanup-grpc"]
