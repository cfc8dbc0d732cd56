#!/usr/bin/env bash
# Exports every architecture of test/peers/architectures.py in all ways, tries each export and what is refused, and writes
# docs/architectures.md: about a quarter of an hour. The environment is that of scripts/test-peers.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv-peers/bin/python test/peers/architectures.py "$folder" all 0 1 > "$folder/export.log" 2>&1 ||
  { tail -n 20 "$folder/export.log"; exit 1; }
node test/peers/architectures.mjs "$folder/exports.json"
.venv-peers/bin/python test/peers/architectures_page.py "$folder/results.json"
