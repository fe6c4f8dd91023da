#!/usr/bin/env bash
# Whether the libraries that services use verify Ostiary's access tokens, and refuse changed ones: by nothing but
# the key set that it publishes, or by the shared secret, which is never published.
#
#   ./scripts/verify_tokens.sh
#
# Builds the debug binary, installs the libraries into a temporary directory (from PyPI and npm), uses free
# ports, and leaves nothing behind. Prints a table, and ends with 0 only if all of it is `ok`.
set -euo pipefail
cd "$(dirname "$0")/.."

ALGORITHMS=(HS256 HS384 HS512 EdDSA ES256 RS256)
LIBRARIES=(PyJWT jose jsonwebtoken)
# At least as long as the hash of HS512, 64 bytes (RFC 7518 §3.2).
SECRET="the secret that Ostiary shares with the services that verify its tokens"

./scripts/install.sh
# With the examples the dependencies are built as for tests, and not once more.
cargo build --workspace --quiet --bins --examples
binaries=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
directory=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

cp scripts/verify_tokens/* "$directory"
python3 -m venv "$directory/python"
"$directory/python/bin/pip" install --quiet --disable-pip-version-check 'pyjwt[crypto]==2.*'
# The last that runs on the Node.js of Debian 12.
npm install --silent --no-audit --no-fund --prefix "$directory" 'jose@5'

# serve ALGORITHM: starts a server with a database of its own; its URL is in $service.
serve() {
    local data=$directory/$1
    mkdir "$data"
    : >"$data/log"
    env -i HOST=127.0.0.1 PORT=0 DATA_DIR="$data" ENV_FILE=/dev/null LOG_FORMAT=json \
        JWT_ALGORITHM="$1" JWT_SECRET_KEY="$SECRET" "$binaries/ostiary" 2>"$data/log" &
    server=$!
    until service=$(sed -n 's|.*"service":"\(http://[^/"]*\).*|\1|p' "$data/log") && [ -n "$service" ]; do
        kill -0 "$server" 2>/dev/null || { cat "$data/log" >&2; return 1; }
        sleep 0.1
    done
}

# verify LIBRARY ALGORITHM FILE: ends with 0 if the token is good, and with 3 if its signature is not.
verify() {
    local keys=$service/.well-known/jwks.json
    [ "$1" != jsonwebtoken ] || keys=$directory/$2/jwks.json
    [[ $2 != HS* ]] || keys=$SECRET
    case $1 in
    PyJWT) "$directory/python/bin/python" "$directory/pyjwt.py" "$2" "$keys" "$3" ;;
    jose) node "$directory/jose.mjs" "$2" "$keys" "$3" ;;
    jsonwebtoken) "$binaries/examples/verify_token" "$2" "$keys" "$3" ;;
    esac
}

# check LIBRARY ALGORITHM: what stands in the table.
check() {
    local good=0 changed=0
    verify "$1" "$2" "$directory/$2/token" || good=$?
    verify "$1" "$2" "$directory/$2/changed" || changed=$?
    case $good,$changed in
    0,3) echo ok ;;
    0,0) echo "takes a changed token" ;;
    *) echo "fails ($good, $changed)" ;;
    esac
}

row() { printf '%-10s %-22s %-22s %s\n' "$@"; }

all_ok=true
row algorithm "${LIBRARIES[@]}"
for algorithm in "${ALGORITHMS[@]}"; do
    serve "$algorithm"
    python3 "$directory/issue.py" "$service" "$directory/$algorithm"
    cells=()
    for library in "${LIBRARIES[@]}"; do
        cell=$(check "$library" "$algorithm")
        [ "$cell" = ok ] || all_ok=false
        cells+=("$cell")
    done
    row "$algorithm" "${cells[@]}"
    kill "$server"
    wait "$server"
    server=
done
$all_ok
