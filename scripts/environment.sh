# Functions shared by the test scripts; sourced, not run.

say() { printf '\n== %s\n' "$*"; }

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
