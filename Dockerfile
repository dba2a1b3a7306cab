# One image a command: --target worker, publisher, dlq, sandbox or demo. Each holds its
# command, the certificates of the public authorities and a user, and nothing else.
# It needs no BuildKit, and with BuildKit it builds for other platforms, too.

ARG BUILD_IMAGE=golang:1.26-bookworm

FROM --platform=${BUILDPLATFORM:-linux} ${BUILD_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
ARG TARGETOS TARGETARCH
COPY . .
ARG VERSION REVISION
# The demo keeps its streams in /tmp unless it is told otherwise.
RUN build=github.com/tokenrelay/tokenrelay/internal/build && \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
      -ldflags "-s -w -X $build.version=$VERSION -X $build.revision=$REVISION" -o /out/ ./cmd/... && \
    go clean -cache && \
    mkdir -p /root-fs/etc/ssl/certs && mkdir -m 1777 /root-fs/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ && \
    echo 'tokenrelay:x:65532:65532:tokenrelay:/:/sbin/nologin' > /root-fs/etc/passwd && \
    echo 'tokenrelay:x:65532:' > /root-fs/etc/group

FROM scratch AS base
COPY --from=build /root-fs /
USER 65532:65532
ARG VERSION REVISION
LABEL org.opencontainers.image.source="https://github.com/tokenrelay/tokenrelay" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION

FROM base AS worker
LABEL org.opencontainers.image.title="tokenrelay worker" \
      org.opencontainers.image.description="Delivers token registrations from NATS JetStream to CleverTap and Courier"
COPY --from=build /out/worker /worker
HEALTHCHECK --interval=5s --timeout=6s CMD ["/worker", "health"]
ENTRYPOINT ["/worker"]
CMD ["run"]

# Its commands end by themselves.
FROM base AS publisher
LABEL org.opencontainers.image.title="tokenrelay publisher" \
      org.opencontainers.image.description="Puts token registrations into the stream, one or a file of them"
COPY --from=build /out/publisher /publisher
HEALTHCHECK NONE
ENTRYPOINT ["/publisher"]

FROM base AS dlq
LABEL org.opencontainers.image.title="tokenrelay dlq" \
      org.opencontainers.image.description="Dead letters: why they died, and how they go back; also as a page for a browser"
COPY --from=build /out/dlq /dlq
HEALTHCHECK --interval=5s --timeout=6s CMD ["/dlq", "health"]
ENTRYPOINT ["/dlq"]

FROM base AS sandbox
LABEL org.opencontainers.image.title="tokenrelay sandbox" \
      org.opencontainers.image.description="A double of CleverTap and Courier, for tests and development only"
COPY --from=build /out/sandbox /sandbox
HEALTHCHECK --interval=5s --timeout=6s CMD ["/sandbox", "--health"]
ENTRYPOINT ["/sandbox"]

FROM base AS demo
LABEL org.opencontainers.image.title="tokenrelay demo" \
      org.opencontainers.image.description="Everything in one process, on loopback only; not for production"
COPY --from=build /out/demo /demo
HEALTHCHECK --interval=5s --timeout=6s CMD ["/demo", "--health"]
ENTRYPOINT ["/demo"]
