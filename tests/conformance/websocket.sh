#!/bin/sh
# Run the Autobahn test suite's cases for clients against this project's WebSocket, plain and over TLS.
# Needs Python 2.7 with pip, the last that the suite runs on: PYTHON2 says which where it is not python2.7.
#
# Expected: of 301 cases none fails; some eight, others from run to run, are non-strict: websocket_client.py says
# what that means. Cases 12 and 13 are about compression, which is not asked for.
set -eu
cd "$(dirname "$0")/../.."
place=build/conformance/autobahn
suite="$place/suite"
python2=${PYTHON2:-python2.7}
if [ ! -f "$suite/done" ]; then
    mkdir -p "$suite"
    "$python2" -m pip install -q --disable-pip-version-check --target "$suite" autobahntestsuite==0.8.2 2>"$place/pip.log" ||
        { cat "$place/pip.log"; exit 1; }
    touch "$suite/zope/__init__.py" "$suite/done"
fi
exec "${PYTHON:-.venv/bin/python}" tests/conformance/websocket_client.py "$python2" "$place"
