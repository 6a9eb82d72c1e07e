# The image of both programs. Any engine builds it (docker build -t tracehop .); so does
# scripts/image, which needs neither engine nor registry.
ARG BASE=debian:12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY scripts/setup scripts/
RUN scripts/setup build rootfs
COPY . .
RUN cmake --preset release --log-level=WARNING -DBUILD_TESTING=OFF \
    && scripts/build release tracehop-server tracehop-collector \
    && scripts/rootfs build/release /rootfs

FROM scratch
COPY --from=build /rootfs/system/ /
COPY --from=build /rootfs/programs/ /
COPY --from=build --chown=65532:65532 /rootfs/state/ /var/lib/

# The project's, as in CMakeLists.txt, and the commit.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tracehop" \
      org.opencontainers.image.description="A service mesh that you can see through: a hop that plays every role of a chain, and a collector of everybody's spans" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The collector's journal, if it has one: the root may be read-only, a volume belongs here.
ENV JOURNAL_DIR=/var/lib/tracehop/journal
USER 65532:65532
# The hop: HTTP, gRPC, admin. The collector: OTLP over gRPC and HTTP, Zipkin, admin.
EXPOSE 8080 9090 9464 4317 4318 9411 9465
STOPSIGNAL SIGTERM
# No entry point: two programs are here, and who names none gets the hop.
CMD ["/usr/bin/tracehop-server"]
