# The image of the command line program: `docker build --tag osiris .`, then
# `docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" osiris run pipeline.yaml`.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# The licences come with the program; the generator is a task of this project.
RUN cargo build --locked --profile dist -p osiris-cli --bin osiris \
    && cargo run --quiet --locked -p xtask -- dist --licenses /licenses

# The C++ library that DuckDB needs and the certificates of public authorities, and neither a shell nor a package manager.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /source/target/dist/osiris /usr/local/bin/osiris
COPY --from=build /source/LICENSE-APACHE /source/LICENSE-MIT /licenses /usr/share/doc/osiris/
WORKDIR /work
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/osiris"]
CMD ["--help"]
