# Builds what a benchmark runs, says what was built, and sets $server and $bench. Sourced from the root.

# The server by itself, as it is installed: the generator's needs would change the features of its libraries.
# As it is shipped, which takes longer to build than the profile `release`.
cargo build --profile dist --quiet
cargo build --profile dist --quiet --package ostiary-bench
server=${CARGO_TARGET_DIR:-target}/dist/ostiary
bench=${CARGO_TARGET_DIR:-target}/dist/ostiary-bench
printf '%s, profile dist, %s, %s cores, %s\n' \
    "$("$server" --version)" "$(rustc --version)" "$(nproc)" "$(git rev-parse --short HEAD)"
