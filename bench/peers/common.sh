# What the start scripts share: where a peer is installed, and how. Sourced, with $peer set.
#
# Of the environment: PORT to serve on, DATABASE_URL or DATA (a directory) to keep things in. CARGO_TARGET_DIR moves
# the directory of everything that is built, and with it this one.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$peer
cache=${CARGO_TARGET_DIR:-$here/../../../target}/peers/$peer
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
# A process for each core, as the documentation of each peer recommends.
workers=$(nproc)

# Whether the cache was made from these files, as they are now: is_installed FILE...
is_installed() {
    cat "$@" | cmp --quiet - "$cache/installed"
}

# Says that it was: installed FILE...
installed() {
    cat "$@" >"$cache/installed"
}

# The version that requirements.txt names: pinned PACKAGE
pinned() {
    sed -n "s/^$1==//p" "$here/requirements.txt"
}

# A virtual environment of exactly the versions that requirements.txt names.
install_python() {
    if is_installed "$here/requirements.txt"; then return; fi
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
    installed "$here/requirements.txt"
}

python() {
    PYTHONPYCACHEPREFIX=$cache/bytecode "$cache/venv/bin/python" "$@"
}

# The module app.py of this peer: quiet, with uvicorn's quicker loop and parser. A worker that has no time to answer
# uvicorn's question whether it is alive is busy, not dead.
serve_python() {
    export PYTHONPYCACHEPREFIX=$cache/bytecode
    exec "$cache/venv/bin/uvicorn" app:app --app-dir "$here" --host 127.0.0.1 --port "$PORT" \
        --workers "$workers" --loop uvloop --http httptools --log-level warning --no-access-log \
        --timeout-worker-healthcheck 60
}
