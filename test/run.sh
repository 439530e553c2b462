#!/usr/bin/env bash
# Everything there is to test. The last thing it runs is one `node --test`, so the last lines are the totals.
# What needs more than Node (a browser, a compiler, Node 24) is skipped aloud when it is missing; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

is_ci=$([ "${CI:-}" = true ] && echo yes || echo no)

skip() {
  if [ "$is_ci" = yes ]; then
    echo "test: $1, and CI=true allows no gaps" >&2
    exit 1
  fi
  echo "test: SKIPPED: $1" >&2
}

# A Node 24 from the npm registry, kept in .node24/; fetched only in CI or when WEIR_NODE24=fetch.
find_node24() {
  local platform
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    Darwin-arm64) platform=darwin-arm64 ;;
    *) return 0 ;;
  esac
  local binary=.node24/node_modules/node-$platform/bin/node
  if [ ! -x "$binary" ] && { [ "$is_ci" = yes ] || [ "${WEIR_NODE24:-}" = fetch ]; }; then
    mkdir -p .node24
    npm install --prefix .node24 --no-save --no-package-lock --loglevel=error "node-$platform@24" >&2 || return 0
  fi
  [ ! -x "$binary" ] || echo "$PWD/$binary"
}

# Native TensorFlow, kept in .native/; built only in CI.
has_native() {
  if [ ! -e .native/tfjs_binding.node ] && [ "$is_ci" = yes ]; then
    bash models/lstm/native/make-native.sh >&2 || true
  fi
  [ -e .native/tfjs_binding.node ]
}

node build.mjs
bash test/check.sh --no-tests

node24=$(find_node24)
if [ -n "$node24" ]; then
  echo "unit tests on Node $("$node24" --version)"
  "$node24" --import tsx --test --test-reporter=dot test/units/*.ts
else
  skip 'unit tests on Node 24: set WEIR_NODE24=fetch to bring it from the npm registry'
fi

chromium=${WEIR_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -n "$chromium" ]; then
  export WEIR_CHROMIUM=$chromium
else
  skip 'the page in a browser: no Chromium (Debian: apt-get install chromium)'
fi

has_native || skip 'training on native TensorFlow: make native builds it'

mapfile -t files < <(find test/contract/*-kafka.test.ts test/integration test/e2e -name '*.test.ts' | sort)
exec node --import tsx --test --test-concurrency=1 test/units/*.ts "${files[@]}"
