#!/usr/bin/env bash
# Builds the R package and checks it as CRAN does, tests included. Any error, warning or note fails. Needs `npm run build` before.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$here/../.." && pwd)

[ -f "$here/inst/node/polylaplace.mjs" ] || { echo 'clients/r/inst/node is missing: run `npm run build` first.' >&2; exit 1; }

# Long lines, which R CMD check does not look for.
long=$(find "$here/R" "$here/tests" -name '*.R' -exec awk 'length > 120 { print FILENAME ":" FNR ": " length " characters" }' {} +)
[ -z "$long" ] || { printf 'Lines may have 120 characters:\n%s\n' "$long" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node "$root/scripts/build-clients.mjs" --server "$work/slow-server" test/protocol/server/slow-worker.ts

export POLYLAPLACE_REPOSITORY=$root POLYLAPLACE_SLOW_SERVER=$work/slow-server
# No look-ups: an empty repository stands in for CRAN, and the clock is the machine's.
mkdir -p "$work/repository/src/contrib"
touch "$work/repository/src/contrib/PACKAGES"
echo "options(repos = c(CRAN = 'file://$work/repository'))" > "$work/profile.R"
# What --as-cran asks beside.
export _R_CHECK_RD_LINE_WIDTHS_=TRUE _R_CHECK_CONNECTIONS_LEFT_OPEN_=TRUE
export _R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_CRAN_INCOMING_=false _R_CHECK_CRAN_INCOMING_REMOTE_=false _R_CHECK_SYSTEM_CLOCK_=0
# Seconds after which tests that hang are ended; the output above names the last file that ended.
export _R_CHECK_TESTS_ELAPSED_TIMEOUT_=1800
export R_PROFILE_USER=$work/profile.R LC_ALL=C.UTF-8 NOT_CRAN=true

cd "$work"
R CMD build "$here"
R CMD check --no-manual polylaplace_*.tar.gz || { find polylaplace.Rcheck -name '*.fail' -exec tail -n 100 {} +; exit 1; }
if ! grep -q '^Status: OK$' polylaplace.Rcheck/00check.log; then
  echo 'R CMD check is not clean.' >&2
  exit 1
fi
grep -h 'FAIL' polylaplace.Rcheck/tests/testthat.Rout
