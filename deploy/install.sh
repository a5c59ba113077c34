#!/bin/sh
# Installs the service of this checkout into a new virtual environment, which needs the checkout no
# more: sh deploy/install.sh FOLDER. Everything that is downloaded has to have the hash that
# requirements/ names for it, and nothing is compiled. PYTHON names another interpreter than python3.
set -eu
python=${PYTHON:-python3}
venv=${1:?"name a folder that does not exist yet, such as /opt/turnout"}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
if [ -e "$venv" ]; then
    echo "$venv exists: name another folder, or remove it" >&2
    exit 1
fi

work=$(mktemp -d)
# A folder that is only half of an installation would look like one.
trap 'status=$?; rm -rf "$work"; [ "$status" -eq 0 ] || rm -rf "$venv"; exit "$status"' EXIT
cd "$(dirname "$0")/.."

pip_of() {
    where=$1
    shift
    "$where/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}
locked() { pip_of "$1" install --require-hashes --only-binary :all: -r "requirements/$2.txt"; }

"$python" -m venv "$venv"
locked "$venv" serve
# What builds our two packages stays out of what runs them.
"$python" -m venv "$work/build"
locked "$work/build" build
pip_of "$work/build" wheel --no-index --no-deps --no-build-isolation -w "$work" ./clients/python .
pip_of "$venv" install --no-index --no-deps "$work"/*.whl
pip_of "$venv" check
"$venv/bin/turnout" --help >/dev/null
