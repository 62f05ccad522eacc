"""Who reads what: the readers that are compared, and one round of each."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import attrs
from load import Serving

HERE = Path(__file__).parent
#: The whole daemon's own benchmark; one of its rounds is one of ours.
WHOLE = HERE.parent / "whole.py"

BINANCE, BYBIT = "binance_usdm", "bybit"


@attrs.frozen
class Reader:
    """One row of the table. ``peer`` is whose environment it runs in; None: ours.

    ``slow`` ones read only the first part of what is sent.
    """

    name: str
    script: Path
    exchange: str
    work: str
    peer: str | None = None
    fold: bool = False
    slow: bool = False


def _peer(
    peer: str, name: str, exchange: str, work: str, *, fold: bool = False, slow: bool = False
) -> Reader:
    script = HERE / f"read_{peer.replace('-', '_')}.py"
    return Reader(name, script, exchange, work, peer, fold, slow)


_OURS = "decoded, checked, folded into all timeframes"
_DAEMON = "the whole daemon: journal, warm store, HTTP and MCP; until all is stored"
_COUNTED = "one object per trade, counted in a callback"
_FOLDED = "one object per trade; profile and delta of five timeframes"
_DICTS = "one dict per trade, counted"

READERS = (
    Reader("wadm_fold_binance", HERE / "read_fold.py", BINANCE, _OURS),
    _peer("picows", "picows_fold_binance", BINANCE, "our decoding and folding behind picows"),
    _peer("cryptofeed", "cryptofeed_binance", BINANCE, _COUNTED),
    _peer("cryptofeed", "cryptofeed_fold_binance", BINANCE, _FOLDED, fold=True),
    Reader("wadm_daemon_binance", WHOLE, BINANCE, _DAEMON),
    _peer("ccxt", "ccxt_binance", BINANCE, _DICTS, slow=True),
    _peer("python-binance", "python_binance", BINANCE, _DICTS, slow=True),
    _peer("unicorn", "unicorn", BINANCE, _DICTS, slow=True),
    Reader("wadm_fold_bybit", HERE / "read_fold.py", BYBIT, _OURS),
    _peer("picows", "picows_fold_bybit", BYBIT, "our decoding and folding behind picows"),
    _peer("cryptofeed", "cryptofeed_bybit", BYBIT, _COUNTED),
    _peer("cryptofeed", "cryptofeed_fold_bybit", BYBIT, _FOLDED, fold=True),
    _peer("ccxt", "ccxt_bybit", BYBIT, _DICTS, slow=True),
)


@attrs.frozen
class Told:
    """What a reader reported of one round."""

    trades: int
    volume: str | None  # None: it does not tell
    seconds: float
    cpu: float


class ReaderError(Exception):
    """A reader that did not come to its end, or reported something else than what was sent."""


def run(reader: Reader, python: Path, server: Serving, trades: int, core: int) -> Told:
    """Let a reader read ``trades`` trades in a process of its own. Raises ReaderError."""
    if reader.script == WHOLE:
        what = {"exchange": reader.exchange, **attrs.asdict(server)}
        command = [str(python), str(reader.script), "--round", json.dumps(what)]
    else:
        command = [
            str(python), str(reader.script), "--exchange", reader.exchange, "--url", server.url,
            "--trades", str(trades), "--core", str(core), *(["--fold"] if reader.fold else []),
        ]  # fmt: skip
    environment = os.environ | {"SSL_CERT_FILE": str(server.certificate)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        told: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as slow:
        raise ReaderError(f"{reader.name} has not read {trades} trades within 180 s") from slow
    except ValueError:
        raise ReaderError(f"{reader.name} reported nothing; it said:\n{done.stderr[-2000:]}") from None
    if not told.get("whole", True):
        raise ReaderError(f"{reader.name}: the ledger does not balance")
    return Told(told["trades"], told.get("volume"), told["seconds"], told["cpu"])
