"""Feed hostile bytes to every codec and to every reader of REST answers, guided by coverage.

``just fuzz`` runs a million inputs; ``just fuzz -runs=10000 -seed=7`` other numbers (libFuzzer's flags). An
input that breaks a promise ends the run and is written to the working directory; give its name to run it
again.

An input's first byte says who reads it, the rest are frames, one per line, or one answer.
"""

import gzip
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "wadm" / "exchanges")]
with atheris.instrument_imports(include=["wadm"]):
    from codec_kit import AT, apart, bench, check_alike, every_kind, row_of_trades

    from wadm.exchanges.base import PageError, Query
    from wadm.exchanges.registry import EXCHANGES
    from wadm.market import MINUTE

RUNS = 1_000_000
LONGEST = 8_192


def queries(exchange: str) -> list[Query]:
    endpoints = EXCHANGES[exchange].endpoints
    start = AT - 60 * MINUTE
    return [
        endpoints.clock(),
        endpoints.listing(),
        endpoints.turnover(),
        endpoints.depth("BTCUSDT"),
        endpoints.candles("BTCUSDT", start, start + 5 * MINUTE),
    ]


QUERIES = [query for exchange in EXCHANGES for query in queries(exchange)]
#: The codecs several times over: they are worth half of the inputs at least.
READERS = [*QUERIES, *EXCHANGES, *EXCHANGES, *EXCHANGES, *EXCHANGES, *EXCHANGES]


def read(data: bytes) -> None:
    if not data:
        return
    reader, rest = READERS[data[0] % len(READERS)], data[1:]
    if isinstance(reader, Query):
        with suppress(PageError):
            reader.read(rest)
        return
    frames = rest.split(b"\n")
    codec = bench(reader)
    codec.feed(*frames)
    codec.check_balance()
    codec.check_events()
    if codec.ledger.frames != len(frames):
        raise AssertionError("a frame was not counted")
    alone = apart(reader)
    alone.feed(*frames)
    check_alike(codec, alone)


def seed(folder: Path) -> None:
    """Write recorded frames and answers as inputs to begin with."""
    answers = [path.read_bytes() for path in sorted((TESTS / "captures" / "rest").rglob("*.json*"))]
    for number, reader in enumerate(READERS):
        found = every_kind(reader) if isinstance(reader, str) else answers
        texts = [gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text for text in found]
        for place, text in enumerate(one for one in texts if len(one) < LONGEST):
            (folder / f"{number}-{place}").write_bytes(bytes([number]) + text)
        if isinstance(reader, str):
            (folder / f"{number}-all").write_bytes(bytes([number]) + b"\n".join(texts)[:LONGEST])
            row = b"\n".join(row_of_trades(reader))
            (folder / f"{number}-row").write_bytes(bytes([number]) + row[:LONGEST])


def main() -> None:
    flags = [f"-max_len={LONGEST}"]
    if not any(argument.startswith("-runs=") for argument in sys.argv):
        flags.append(f"-runs={RUNS}")
    with tempfile.TemporaryDirectory() as corpus:
        named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        if not named:
            seed(Path(corpus))
            flags.append(corpus)
        atheris.Setup([*sys.argv, *flags], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
