# The images of the project. The binaries are built first, on the host:
#
#   cargo build --target x86_64-unknown-linux-musl --profile sidecar -p sidecar
#   cargo build --target x86_64-unknown-linux-musl --profile webhook -p webhook
#   cargo build --target x86_64-unknown-linux-musl --profile sidecar -p example-app
#   docker build --target sidecar .        (or: buildah bud --target sidecar .)
#
# Each image is one static binary and nothing else.
ARG TARGET=x86_64-unknown-linux-musl

FROM scratch AS sidecar
ARG TARGET
COPY target/${TARGET}/sidecar/active-passive-sidecar /active-passive-sidecar
USER 65532:65532
ENTRYPOINT ["/active-passive-sidecar"]

FROM scratch AS webhook
ARG TARGET
COPY target/${TARGET}/webhook/active-passive-webhook /active-passive-webhook
USER 65532:65532
ENTRYPOINT ["/active-passive-webhook"]

FROM scratch AS example-app
ARG TARGET
COPY target/${TARGET}/sidecar/example-app /example-app
USER 65532:65532
ENTRYPOINT ["/example-app"]

# Holds the namespaces of each pod of the test cluster, where no registry can be reached.
FROM scratch AS pause
ARG TARGET
COPY target/${TARGET}/sidecar/pause /pause
USER 65532:65532
ENTRYPOINT ["/pause"]

# What the benches compare with: tests/peer, a program of Go.
FROM scratch AS peer
COPY target/go/peer /peer
USER 65532:65532
ENTRYPOINT ["/peer"]
