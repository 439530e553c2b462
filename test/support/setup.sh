#!/usr/bin/env bash
# Checks the machine and installs the packages, exactly as the lock file names them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v node >/dev/null; then
  echo 'setup: Node.js is missing; install version 20.19 or newer (https://nodejs.org)' >&2
  exit 2
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  echo "setup: Node.js $(node --version) is too old; 20.19 or newer is needed" >&2
  exit 2
fi
if [ "$(uname -s)" = Linux ] && command -v ldd >/dev/null && ldd --version 2>&1 | grep -qi musl; then
  echo 'setup: this is Linux with musl (Alpine, say); embedded ClickHouse needs glibc' >&2
  exit 2
fi
echo 'setup: installing packages (about 1.2 GB on disk, half of it embedded ClickHouse)' >&2
npm ci --no-fund --no-audit --loglevel=error >&2
