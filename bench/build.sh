# Builds what a benchmark runs, says what was built, and sets $server and $bench. Sourced from the root.

# The server by itself, as it is installed: the generator's needs would change the features of its libraries.
cargo build --release --quiet
cargo build --release --quiet --package ostiary-bench
server=${CARGO_TARGET_DIR:-target}/release/ostiary
bench=${CARGO_TARGET_DIR:-target}/release/ostiary-bench
printf '%s, release profile, %s, %s cores, %s\n' \
    "$("$server" --version)" "$(rustc --version)" "$(nproc)" "$(git rev-parse --short HEAD)"
