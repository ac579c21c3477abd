#!/bin/sh
# Makes the stack's Python environment from its hashed requirements. Needs Python 3.11 or later and nothing else.
set -eu
venv=$1

for python in python3 python3.13 python3.12 python3.11; do
	if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
		found=$python
		break
	fi
done
if [ -z "${found:-}" ]; then
	echo "error: Serinus needs Python 3.11 or later; there is none on the PATH" >&2
	echo "remedy: install python3 (Debian 12, Ubuntu 24.04 or later carry it)" >&2
	exit 1
fi

# Debian and Ubuntu ship Python without the part that makes environments.
if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
	version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	if [ "$(id -u)" != 0 ]; then
		echo "error: this Python can't make environments: python$version-venv is missing" >&2
		echo "remedy: sudo apt-get install python$version-venv" >&2
		exit 1
	fi
	echo "installing python$version-venv"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$version-venv" >/dev/null
fi

echo "installing the Python environment (30 s; from a full cache 10 s)"
python=$venv/bin/python
"$python" -m pip --version >/dev/null 2>&1 || "$found" -m venv --clear "$venv"

# uv takes from its cache in seconds what pip unpacks and compiles in a minute. Its version and hashes are those of the
# requirements. Where a machine's index is told to pip only, pip does it all.
pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }
pinned=$venv/uv.txt
awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements-dev.txt >"$pinned"
pip --require-hashes -r "$pinned"
if ! "$venv/bin/uv" pip install --quiet --python "$python" --require-hashes -r requirements-dev.txt; then
	echo "uv could not install them; pip tries"
	pip --require-hashes -r requirements-dev.txt
fi
pip --no-deps --no-build-isolation --no-index -e .
