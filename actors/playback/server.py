"""The local exchange server: an exchange on 127.0.0.1 that plays a capture, in a process of its own.

It tells its parent on stdout what happens, one JSON object per line:
``{"event":"listening","port":N,"streams":[…]}``, with ``"reframed_from":NAME`` where the capture is another
exchange's and ``"cut_short":[…]`` where files have no end; ``{"event":"fault","kind":K,"frame":N}``, with
``"missed":true`` where the fault struck nobody; ``{"event":"mark","frame":N}``; and, once everything is sent,
``{"event":"done","frames":N,"lost":N,"seconds":S}``. It ends when stdin reaches its end, so that it never
outlives its parent, and on SIGTERM or SIGINT.
"""

import logging
import os
import signal
from functools import partial

import msgspec
import trio

from actors.playback.capture import Capture
from actors.playback.client import Host
from actors.playback.dialect import Dialect
from actors.playback.faults import BAN, Fault, Script, Struck
from actors.playback.gate import Gate
from actors.playback.player import Observer, Player
from actors.playback.rest import RestDesk
from actors.playback.restart import restarted

log = logging.getLogger(__name__)

_STDIN, _STDOUT = 0, 1


async def serve(
    capture: Capture,
    dialect: Dialect,
    *,
    speed: float,
    port: int = 0,
    start_after: int | None = None,
    wait_for_books: float = 0.0,
    script: Script = Script(),  # noqa: B008  # it cannot change
) -> None:
    """Serve until told to end, on the dialect's terms.

    Raises OSError where the port cannot be had, CaptureError or FaultsError for what cannot be played so.
    """
    script.check_kinds(dialect.name, dialect.spared)
    capture = restarted(dialect.adopt(capture), script)
    gate = Gate(capture, wait_for_books)
    observer = Observer(_tell_struck, _tell_passed, lambda fault: _refuse(desk, fault))
    player = Player(capture, speed, start_after, script=script, observer=observer, gate=gate)
    desk = RestDesk(
        dialect.service(capture),
        capture.frames,
        lambda: player.position,
        terms=dialect.terms,
        moved=player.moved,
        on_book=lambda symbol: _book_fetched(player, gate, symbol),
    )
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    host = Host(dialect, player, desk)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_on_signal, nursery.cancel_scope)
        nursery.start_soon(_end_with_parent, nursery.cancel_scope)
        await nursery.start(trio.serve_listeners, partial(_serve, host=host), listeners)
        port = listeners[0].socket.getsockname()[1]
        _tell_listening(port, capture)
        played = await player.run()
        figures = {"frames": played.frames, "lost": played.lost, "seconds": round(played.seconds, 6)}
        _tell({"event": "done", **figures})


def _refuse(desk: RestDesk, fault: Fault) -> None:
    desk.refuse(fault.seconds, banned=fault.kind == BAN)


def _book_fetched(player: Player, gate: Gate, symbol: str) -> None:
    gate.fetched(symbol, player.position)
    player.changed()


async def _serve(stream: trio.SocketStream, *, host: Host) -> None:
    try:
        await host.serve(stream)
    except Exception as error:  # whatever one client does, the others are served
        log.warning("a client's connection failed: %r", error)


async def _end_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


async def _end_with_parent(scope: trio.CancelScope) -> None:
    await trio.to_thread.run_sync(_read_to_end, abandon_on_cancel=True)
    scope.cancel()


def _read_to_end() -> None:
    """Read stdin to its end. Not through sys.stdin, whose lock a thread left behind would keep."""
    try:
        while os.read(_STDIN, 4096):
            pass
    except OSError:
        pass


def _tell_listening(port: int, capture: Capture) -> None:
    cut_short = {"cut_short": capture.cut_short} if capture.cut_short else {}
    origin = {"reframed_from": capture.reframed_from} if capture.reframed_from else {}
    _tell({"event": "listening", "port": port, "streams": capture.streams, **cut_short, **origin})


def _tell_struck(struck: Struck) -> None:
    missed = {"missed": True} if struck.missed else {}
    _tell({"event": "fault", "kind": struck.kind, "frame": struck.frame, **missed})


def _tell_passed(frame: int) -> None:
    _tell({"event": "mark", "frame": frame})


def _tell(event: dict[str, object]) -> None:
    try:
        os.write(_STDOUT, msgspec.json.encode(event) + b"\n")
    except OSError:  # nobody listens: stdin will say so
        log.debug("stdout is closed")
