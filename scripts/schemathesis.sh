#!/usr/bin/env bash
# Whether the server does what its OpenAPI document says, and nothing else: Schemathesis makes requests from the
# document, good ones and bad ones, and holds the answers against it.
#
#   ./scripts/schemathesis.sh         with a new seed, which is printed
#   ./scripts/schemathesis.sh 12345   with the requests of that seed
#
# Builds the debug binary, installs Schemathesis into the target directory (from PyPI), uses a temporary directory
# and a free port, and leaves no server behind. Takes little more than a minute. Ends with 0 if all answers conform.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=4.32.5
SECONDS_TO_RUN=60
seed=${1:-$RANDOM$RANDOM}

./scripts/install.sh
# With the examples the dependencies are built as for tests, and not once more.
cargo build --workspace --quiet --bins --examples
target=$(realpath "${CARGO_TARGET_DIR:-target}")
directory=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

venv=$target/schemathesis
if ! "$venv/bin/python" -c "from importlib.metadata import version; assert version('schemathesis') == '$VERSION'" \
    2>/dev/null; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
fi

# Nothing counts that is set elsewhere, and no request is one too many.
settings=(HOST=127.0.0.1 PORT=0 DATA_DIR="$directory" ENV_FILE=/dev/null LOG_FORMAT=json)
! "$target/debug/ostiary" serve --help | grep -q RATE_LIMITS || settings+=(RATE_LIMITS=off)
ostiary=(env -i "${settings[@]}" "$target/debug/ostiary")
"${ostiary[@]}" serve 2>"$directory/log" &
server=$!
until service=$(sed -n 's|.*"service":"\(http://[^/"]*\).*|\1|p' "$directory/log") && [ -n "$service" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$directory/log" >&2; exit 1; }
    sleep 0.1
done

# A user whose password is no example in the document: an example would change it, or delete the user.
export LOGIN=schemathesis PASSWORD="no example of any document"
curl -sS --fail-with-body -o /dev/null -H 'content-type: application/json' "$service/api/v1/auth/register" -d \
    "{\"second_login\": \"$LOGIN\", \"phone\": \"+79991234500\", \"password\": \"$PASSWORD\", \"group_names\": [\"customer\"]}"
SERVICE_CREDENTIAL=$("${ostiary[@]}" service create schemathesis 2>/dev/null)
export SERVICE_CREDENTIAL

echo "seed $seed"
cd "$directory" # It keeps what it found beside.
"$venv/bin/schemathesis" --config-file "$OLDPWD/scripts/schemathesis/schemathesis.toml" run \
    --no-color --checks all --seed "$seed" --max-time "$SECONDS_TO_RUN" --generation-database none "$service/openapi.json"
grep -q '"level":"ERROR"' log && { grep '"level":"ERROR"' log >&2; exit 1; }
kill -0 "$server"
