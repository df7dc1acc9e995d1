#!/bin/sh
# Make the virtual environment of the project and install all that its make targets need.
#   tools/bootstrap.sh PYTHON VENV STAMP
set -eu

python=$1 venv=$2 stamp=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$python is older than 3.11; set PYTHON= to a newer one." >&2
    exit 1
}
if [ ! -x "$venv/bin/python" ] && ! "$python" -m venv "$venv"; then
    rm -rf "$venv"
    echo "$python cannot make virtual environments (on Debian: apt install python3-venv)." >&2
    exit 1
fi
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet --editable '.[postgres,redis,testing]' --group dev

# mysqlclient has no wheels: it is built from source where the client library and a compiler are found.
if ! "$venv/bin/python" -m pip install --quiet 'mysqlclient>=2.2.1' >"$venv/mysqlclient.log" 2>&1; then
    echo "mysqlclient cannot be built here, so the tests leave MariaDB out; see $venv/mysqlclient.log." >&2
    echo "On Debian: apt install default-libmysqlclient-dev pkg-config gcc python3-dev, then make clean-venv." >&2
fi
rm -f "$venv"/.ready-*
touch "$stamp"
