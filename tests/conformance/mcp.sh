#!/bin/sh
# Run the MCP conformance suite's server scenarios against this project's stack.
# Needs npm. Where Node is older than 22, one that the suite can use is fetched beside it.
# Options are the suite's: tests/conformance/mcp.sh --scenario tools-call-with-progress
#
# Expected: 44 checks pass, none fails, two warn (server-sse-polling). The two are recommendations for resuming
# a stream that broke by its last event's id. Streams are not resumed here: answers are cheap to ask for again,
# a notice only says that there is something new to read, and the protocol of 2026-07-28 knows no resumption.
set -eu
cd "$(dirname "$0")/../.."
place=build/conformance
mkdir -p "$place"
node=$(command -v node)
suite=@modelcontextprotocol/conformance
[ -f "$place/node_modules/$suite/dist/index.js" ] || npm install -s --prefix "$place" --no-save "$suite@0.1.16"
if [ "$("$node" -p 'process.versions.node.split(".")[0]')" -lt 22 ]; then
    other=node-$("$node" -p 'process.platform + "-" + process.arch')
    [ -d "$place/newer/node_modules/$other" ] || npm install -s --prefix "$place/newer" --no-save "$other@22"
    node=$place/newer/node_modules/$other/bin/node
fi
PYTHONPATH=. "${PYTHON:-.venv/bin/python}" -W ignore tests/conformance/mcp_server.py >"$place/url" &
server=$!
trap 'kill "$server"' EXIT
until [ -s "$place/url" ]; do sleep 0.2; kill -0 "$server"; done
"$node" "$place/node_modules/$suite/dist/index.js" server --suite all --url "$(cat "$place/url")" "$@"
