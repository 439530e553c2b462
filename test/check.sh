#!/usr/bin/env bash
# The gate before every commit. Says what each step took; all steps run, then the first lines of what failed are known.
#   check.sh               everything
#   check.sh --no-tests    everything but the tests, for run.sh which runs them itself
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/node_modules/.bin:$PATH"

TESTS=(node --import tsx --test --test-reporter=dot)
FOLDERS=(schemas infra models simulator pipeline learning console cli test)
failed=()

step() {
  local name=$1 started output status
  shift
  started=$(date +%s%N)
  output=$("$@" 2>&1)
  status=$?
  printf '%-16s %5s s  %s\n' "$name" "$(awk "BEGIN{printf \"%.1f\", ($(date +%s%N) - $started) / 1e9}")" "$([ $status = 0 ] && echo ok || echo FAILED)"
  if [ $status != 0 ]; then
    echo "$output"
    failed+=("$name")
  fi
}

web_compiles() { [ ! -f console/web/tsconfig.json ] || tsc -p console/web; }

# The longer half of the tests runs beside everything else.
if [ "${1:-}" != --no-tests ]; then
  half=$(mktemp)
  trap 'rm -f "$half"' EXIT
  step 'tests (heavy)' "${TESTS[@]}" test/units/heavy.ts >"$half" 2>&1 &
fi
step format biome format .
step lint oxlint --type-aware "${FOLDERS[@]}"
step compiler tsc -p .
step 'compiler (page)' web_compiles
step 'unused code' knip --no-progress
if [ "${1:-}" != --no-tests ]; then
  step 'tests (others)' "${TESTS[@]}" test/units/others.ts
  wait $! || true
  cat "$half"
  ! grep -q ' s  FAILED$' "$half" || failed+=('tests (heavy)')
fi

if [ ${#failed[@]} != 0 ]; then
  echo "check: failed: ${failed[*]}" >&2
  exit 1
fi
