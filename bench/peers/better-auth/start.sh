#!/usr/bin/env bash
# Better Auth: start.sh version | install | migrate | serve   (PORT, DATABASE_URL)
set -euo pipefail
peer=better-auth
. "$(dirname "$0")/../common.sh"
export NODE_ENV=production

case $1 in
version)
    version() { sed -n "s|.*\"$1\": \"\(.*\)\".*|\1|p" "$here/package.json"; }
    echo "Better Auth $(version better-auth), @node-rs/argon2 $(version @node-rs/argon2), Node.js $(node --version)"
    ;;
install)
    # Node finds libraries from where a program is, so it is installed beside them.
    if ! is_installed "$here/package-lock.json"; then
        cp "$here/package.json" "$here/package-lock.json" "$cache/"
        (cd "$cache" && npm ci --no-audit --no-fund --ignore-scripts)
        installed "$here/package-lock.json"
    fi
    cp "$here/server.js" "$cache/"
    ;;
migrate) node "$cache/server.js" migrate ;;
serve) exec node "$cache/server.js" serve ;;
esac
