#!/usr/bin/env bash
# Makes every figure of BENCHMARKS.md, one file each in figures/. Takes a while; keep the machine quiet meanwhile.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p figures
failed=()

measure() {
  local file=$1
  shift
  echo "weir bench $*" >&2
  node dist/weir.js bench "$@" --json >"figures/$file.json" || failed+=("$file")
}

measure path-lean path --spec lean
measure path-default path --spec default
measure world-default world --preset default
measure world-demo world --preset demo
for name in log features decide simulator memory restart record api training; do
  measure "$name" "$name"
done
# With a Kafka broker of their own, for which a JDK is needed.
for name in kafka latency failover chaos; do
  measure "$name" "$name"
done
measure api-kafka api --kafka --spec lean

if [ ${#failed[@]} != 0 ]; then
  echo "figures: failed: ${failed[*]}" >&2
  exit 1
fi
