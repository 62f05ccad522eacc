"""Captures made for a test, and a client that notes what it is sent."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from actors.connections.websocket import ConnectionLost, open_websocket
from actors.playback.capture import Capture
from actors.playback.client import Host
from actors.playback.dialect import Dialect
from actors.playback.player import Player
from actors.playback.process import LocalExchange
from actors.playback.rest import RestDesk

NS = 1_723_161_253_937_085_768


def trade(symbol: str, number: int, **fields: object) -> bytes:
    """A frame of a combined stream with the trade of this id."""
    data = {"e": "trade", "E": 1, "s": symbol.upper(), "t": number, "p": "61837.63000000", "q": "0.02000000"}
    data |= {"T": 1_723_161_255_342 + number, "m": True, "M": True} | fields
    return msgspec.json.encode({"stream": f"{symbol}@trade", "data": data})


def aggregate(symbol: str, number: int, first: int, last: int, **fields: object) -> bytes:
    """A frame of a combined stream with the aggregate trade of this id."""
    data = {
        "e": "aggTrade",
        "E": 1,
        "s": symbol.upper(),
        "a": number,
        "p": "0.10",
        "q": "3.0",
        "f": first,
        "l": last,
    }
    data |= {"T": 1_723_161_255_342, "m": False} | fields
    return msgspec.json.encode({"stream": f"{symbol}@aggTrade", "data": data})


def write_capture(path: Path, frames: Iterable[bytes], offsets: Sequence[float] | None = None) -> Path:
    """Write frames received at these offsets (s), or 20 ms apart."""
    lines = [
        b"%d %s\n" % (NS + int((at * 0.02 if offsets is None else offsets[at]) * 1e9), frame)
        for at, frame in enumerate(frames)
    ]
    path.write_bytes(b"".join(lines))
    return path


async def listen(exchange: LocalExchange, path: str) -> tuple[list[bytes], int]:
    """Note messages until the connection ends; return them and the code that it ended with."""
    found: list[bytes] = []
    async with open_websocket(exchange.url + path) as websocket:
        try:
            async for run in websocket.runs():
                found += run.frames
        except ConnectionLost as loss:
            return found, loss.code
        assert (websocket.close_code, websocket.close_reason) == (1000, "end of capture")
        return found, 1000


def host_of(capture: Capture, player: Player, dialect: Dialect) -> Host:
    """The server's side of every connection to a playback, without the sockets."""
    service = dialect.service(capture)
    desk = RestDesk(service, capture.frames, lambda: player.position, terms=dialect.terms, moved=player.moved)
    return Host(dialect, player, desk)
