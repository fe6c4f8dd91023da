#!/usr/bin/env bash
# FastAPI Users: start.sh install | migrate | serve   (PORT, DATABASE_URL)
set -euo pipefail
peer=fastapi-users
. "$(dirname "$0")/../common.sh"

case $1 in
install) install_python ;;
migrate) python "$here/app.py" ;;
serve) serve_python ;;
esac
