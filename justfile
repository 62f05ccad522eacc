# Needs uv; every recipe sets itself up. `just --list` names them.

python := ".venv/bin/python"

# show the recipes
default:
    @just --list --unsorted

# make .venv as requirements.lock says, with this checkout in it
sync:
    @uv venv -q --allow-existing .venv && uv pip install -q --python .venv --require-hashes -r requirements.lock && uv pip install -q --python .venv --no-deps -e .

# play the bundled recording through the whole daemon
demo *arguments: sync
    {{python}} -m wadm demo {{arguments}}

# follow the live exchanges of config/wadm.yaml
run *arguments: sync
    {{python}} -m wadm run {{arguments}}

# play a recording with faults and clean, and compare: `just drill --seed 7`
drill *arguments: sync
    {{python}} -m wadm drill {{arguments}}

# run the tests
test *arguments: sync
    {{python}} -m pytest {{arguments}}

# check style, formatting and the import rules
lint: sync
    .venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/lint-imports

# check the types
types: sync
    .venv/bin/mypy

# measure the parts of the hot path and the whole daemon, in some four minutes: `just bench --parts decode,fold`
bench *arguments: sync
    {{python}} tests/benchmarks/bench.py {{arguments}}

# measure how long it takes from a frame to its bar, at several paces
latency *arguments: sync
    {{python}} tests/benchmarks/latency.py {{arguments}}

# count the hot path's instructions and compare with what they were (needs valgrind): `just regression --renew`
regression *arguments: sync
    {{python}} tests/benchmarks/regression.py {{arguments}}

# measure ours beside its peers on the same bytes over TLS (installs them in build/peers): `just bench-peers --json`
bench-peers *arguments: sync
    {{python}} tests/benchmarks/peers/bench.py {{arguments}}

# run the MCP conformance suite against the agents' door (needs npm)
conformance *arguments: sync
    tests/conformance/mcp.sh {{arguments}}

# run the Autobahn test suite's client cases against the exchanges' WebSocket (needs Python 2.7)
conformance-websocket: sync
    tests/conformance/websocket.sh

# feed generated WebSocket frames, right and wrong, to the frame tap and to trio-websocket alone, and compare
fuzz-tap *arguments: sync
    {{python}} tests/fuzz/tap.py {{arguments}}

# feed a million hostile inputs to whatever reads an exchange's bytes (fetches atheris, which is no dependency)
fuzz *arguments: sync
    @uv pip install -q --python .venv --target build/fuzz atheris
    PYTHONPATH=build/fuzz {{python}} tests/fuzz/codecs.py {{arguments}}

# send thousands of generated requests to the API of a whole daemon, and check every answer
fuzz-api *arguments: sync
    {{python}} tests/fuzz/api.py {{arguments}}

# measure what supervision costs, against the same actors in a plain nursery
overhead *arguments: sync
    {{python}} tests/benchmarks/overhead.py {{arguments}}

# cut a recording's connection a hundred times and replace it once: is anything lost?
reconnects exchange *captures: sync
    {{python}} tests/benchmarks/reconnects.py --exchange {{exchange}} {{captures}}

# measure how long news take to fifty subscribers, and what one that does not read costs the others
fanout *arguments: sync
    {{python}} tests/benchmarks/fanout.py {{arguments}}

# measure the journal's commits, a store's pace, and the recovery from an outage, on real servers
storage-bench *arguments: sync
    {{python}} tests/benchmarks/storage.py {{arguments}}

# measure the doors for agents, programs and listeners while 5,000 trades come in a second
front-bench *arguments: sync
    {{python}} tests/benchmarks/front.py {{arguments}}
    {{python}} tests/benchmarks/fanout.py

# measure what a day of a busy symbol takes in memory, and how long its merges take
memory *arguments: sync
    {{python}} tests/benchmarks/memory.py {{arguments}}

# measure what many symbols and hours cost: memory, CPU per trade, a start behind a full journal
scale *arguments: sync
    {{python}} tests/benchmarks/scale.py {{arguments}}

# run the whole daemon for an hour, with questions, listeners and kills: does it stay as it is?
soak *arguments: sync
    {{python}} tests/benchmarks/soak.py {{arguments}}

# pin the newest versions that pyproject.toml allows (needs the package index)
lock:
    uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "just lock" --extra test --extra dev -o requirements.lock pyproject.toml
