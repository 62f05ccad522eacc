"""Faults of an exchange and of the line to it: what goes wrong, and at which frame of a playback. Pure."""

import math
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import TypeVar

import attrs
import msgspec

from wadm.mistakes import Mistake

#: All kinds, in the order in which several strike one frame; after the first two nobody is left for more.
KINDS = (
    DISCONNECT,
    SILENCE,
    DROP,
    SHUTDOWN,
    STALL,
    SLOW,
    RESTART,
    MALFORMED,
    DUPLICATE,
    REORDER,
    LIMIT,
    BAN,
) = (
    "disconnect",
    "silence",
    "drop",
    "shutdown",
    "stall",
    "slow",
    "restart",
    "malformed",
    "duplicate",
    "reorder",
    "limit",
    "ban",
)
#: What befalls a frame on its way, unless it is lost.
FRAME_KINDS = frozenset({MALFORMED, DUPLICATE, REORDER})
#: What befalls whoever asks the REST interface, whether or not anybody would get the frame.
REST_KINDS = frozenset({LIMIT, BAN})

T = TypeVar("T")


class FaultsError(Mistake):
    """Faults or marks that cannot be played: one sentence naming the one and what was expected."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault at the frame of index ``at``; some kinds last ``seconds``.

    Concerned are the clients that would get this frame:

    - disconnect: they get what came before, then the connection is cut without a closing frame. It ends, or,
      at an odd index, is reset, which may take with it what was on its way;
    - silence: for ``seconds`` they get nothing at all, no pings either; the frames of that time are lost to
      them;
    - drop: the frame is lost to them;
    - shutdown: before it they get the announcement that the connection is about to end, and ``seconds`` later
      it is closed;
    - stall: for ``seconds`` the server neither sends nor takes anything; what is due then comes late;
    - slow: for ``seconds`` the server sends no faster than a thin line would carry it;
    - malformed: they get a damaged copy instead of it or, at every fifth index, after it;
    - duplicate: they get it twice;
    - reorder: they get it after the next frame of its stream.

    Concerned is everybody:

    - restart: the frame, a change of a Bybit order book, is a snapshot that counts from 1 again;
    - limit, ban: for ``seconds`` every REST request is refused as one too many, or as one of an address that
      is banned.
    """

    at: int
    kind: str
    seconds: float = 0.0


class Struck(msgspec.Struct, frozen=True):
    """A fault that fell due; ``missed`` where it concerned nobody or the frame could not be struck so."""

    kind: str
    frame: int
    missed: bool = False


@attrs.frozen
class Script:
    """What is done to a playback: faults, and marks: frames to tell of when they were handed out."""

    faults: tuple[Fault, ...] = ()
    marks: frozenset[int] = frozenset()

    def check(self, frames: int) -> None:
        """Raise FaultsError where a fault or a mark cannot be played on so many frames."""
        for fault in self.faults:
            if fault.kind not in KINDS:
                raise FaultsError(
                    f"the fault at {fault.at} is {fault.kind!r}: expected one of {', '.join(KINDS)}"
                )
            _check_index(f"the {fault.kind}", fault.at, frames)
            if not 0 <= fault.seconds < math.inf:
                raise FaultsError(
                    f"the {fault.kind} at {fault.at} lasts {fault.seconds} s: expected 0 or more"
                )
        for mark in sorted(self.marks):
            _check_index("the mark", mark, frames)

    def check_kinds(self, exchange: str, spared: Set[str]) -> None:
        """Raise FaultsError where a fault is of a kind that the exchange never has."""
        for fault in self.faults:
            if fault.kind in spared:
                raise FaultsError(f"the {fault.kind} at {fault.at}: {exchange} has no such fault")

    def by_frame(self) -> dict[int, list[Fault]]:
        """Return the faults of each frame that has some, in the order in which they strike."""
        found: dict[int, list[Fault]] = {}
        for fault in sorted(self.faults, key=lambda fault: KINDS.index(fault.kind)):
            found.setdefault(fault.at, []).append(fault)
        return found

    def followers(self, streams: Sequence[str]) -> dict[int, int]:
        """Map each frame to be reordered to the next one of its stream, where there is one."""
        reordered = {fault.at for fault in self.faults if fault.kind == REORDER}
        found: dict[int, int] = {}
        later: dict[str, int] = {}
        for index in reversed(range(len(streams) if reordered else 0)):
            if index in reordered and streams[index] in later:
                found[index] = later[streams[index]]
            later[streams[index]] = index
        return found


def _check_index(what: str, index: int, frames: int) -> None:
    if not 0 <= index < frames:
        raise FaultsError(f"{what} at {index}: expected the index of a frame, 0 to {frames - 1}")


def cuts(frames: int, alone: Iterable[int], ends: Iterable[int]) -> list[int]:
    """Return, ascending, where batches must end for frames to be alone, or the last of theirs."""
    found = {frames, *(index + 1 for index in ends)}
    for index in alone:
        found |= {index, index + 1}
    return sorted(found - {0})


def read_faults(path: Path) -> tuple[Fault, ...]:
    """Read a JSON list of faults. Raises FaultsError."""
    return _read(path, tuple[Fault, ...], '[{"at": 7, "kind": "silence", "seconds": 1.5}, …]')


def read_marks(path: Path) -> frozenset[int]:
    """Read a JSON list of frames' indexes. Raises FaultsError."""
    return _read(path, frozenset[int], "[7, …]")


def _read(path: Path, kind: type[T], expected: str) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FaultsError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FaultsError(f"{path}: {error}: expected {expected}") from None
