# Functions shared by the test scripts; sourced, not run.

say() { printf '\n== %s\n' "$*"; }

# stage NAME MINUTES COMMANDS  Says the name and runs the commands, with everything that they started, for so many minutes
# at most: many times what they need, so that only what hangs is ended, and is named.
stage() {
  local name=$1 minutes=$2 commands=$3 code=0
  say "$name"
  timeout --kill-after=60 "${minutes}m" bash -euo pipefail -c ". scripts/environment.sh; $commands" &
  trap "kill $! 2> /dev/null; exit 130" INT TERM
  wait $! || code=$?
  trap - INT TERM
  # 137: it had to be killed.
  if [ $code = 124 ] || [ $code = 137 ]; then say "HANGS: '$name' did not end within $minutes minutes" >&2; fi
  return $code
}

# apart NAME MINUTES COMMANDS  A stage beside others: what it prints is printed whole, once it has ended.
apart() {
  local log code=0
  log=$(mktemp)
  stage "$@" > "$log" 2>&1 || code=$?
  cat "$log"
  rm "$log"
  return $code
}

# Ends a test of pytest that hangs, with the stack of every thread.
pytest_limits='-o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true'

# need_debian_packages PACKAGE[:COMMAND] ...  A package whose command is found (or, without a command, that dpkg knows as
# installed) is taken as present. Missing ones are installed as root, and otherwise named with the line that installs them.
need_debian_packages() {
  local missing=() entry package command
  for entry in "$@"; do
    package=${entry%%:*} command=${entry#*:}
    if [ -n "$command" ]; then command -v "$command" > /dev/null || missing+=("$package")
    else dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package"); fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ]; then
    say "Installing Debian packages: ${missing[*]}"
    apt-get update --quiet > /dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${missing[@]}" > /dev/null
  else
    echo "These tests need Debian packages that are missing. Install them, then run this again:" >&2
    echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
}

# need_python  A Python that can make virtual environments, from wherever.
need_python() {
  python3 -c 'import ensurepip, venv' 2> /dev/null || need_debian_packages python3-venv:
}

# python_environment FOLDER PIP-ARGUMENTS ...  Makes or reuses a virtual environment with these packages.
python_environment() {
  local folder=$1; shift
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
