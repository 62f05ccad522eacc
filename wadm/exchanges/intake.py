"""What one call of a codec's ``receive`` takes in: runs of trades by symbol, and what had to be rejected."""

from collections.abc import Mapping

import msgspec

from wadm.exchanges.base import Event, Rejected
from wadm.exchanges.column import BadNumberError
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.run import Run
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

_SAMPLE_BYTES = 200

#: What reading a frame can raise: msgspec's own errors (and those below), a bad number, bytes that are not
#: UTF-8, nesting without end.
UNREADABLE = (msgspec.DecodeError, BadNumberError, UnicodeDecodeError, RecursionError)


class MissingFieldError(msgspec.ValidationError):
    """A frame is an object but holds none of the fields that would tell what it is."""


class RejectedFrameError(msgspec.ValidationError):
    """A frame that can be read but not used; ``reason`` is its name in the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def reason_of(error: Exception) -> str:
    """Return the ledger's name for one of ``UNREADABLE``."""
    if isinstance(error, RejectedFrameError | BadNumberError):
        return error.reason
    if isinstance(error, msgspec.ValidationError):
        return _misfit(error)
    if isinstance(error, UnicodeDecodeError):
        return "not_utf8"
    return "nested_too_deeply" if isinstance(error, RecursionError) else "not_json"


def _misfit(error: msgspec.ValidationError) -> str:
    """Return what is wrong with JSON that is not of the form that was expected."""
    message = str(error)
    if isinstance(error, MissingFieldError) or message.startswith("Object missing required field"):
        return "missing_field"
    if message.startswith("Expected `object`") and " - at " not in message:
        return "not_an_object"
    return "ill_typed_field"


class Rejections:
    """What was rejected, by reason: how often, and the first frame of each for the log."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, bytes]] = {}

    def note(self, reason: str, frame: bytes) -> None:
        """Remember a rejection, counted elsewhere."""
        count, sample = self._found.get(reason) or (0, bytes(frame[:_SAMPLE_BYTES]))
        self._found[reason] = (count + 1, sample)

    def events(self) -> list[Event]:
        """Give them up."""
        if not self._found:
            return []
        found, self._found = self._found, {}
        return [Rejected(reason, count, sample) for reason, (count, sample) in found.items()]


class Intake:
    """Collects one connection's trades between two calls of ``events``.

    Trades of unknown symbols share one account, ``exchange:?``, so that hostile names cost no memory.
    """

    def __init__(
        self, exchange: str, instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger
    ) -> None:
        self._exchange = exchange
        self._instruments = instruments
        self._positions = positions
        self._ledger = ledger
        self._runs: dict[tuple[str, IdKind], Run] = {}
        #: the runs touched since the last ``events``, by what their ids count and by symbol
        self.active: dict[IdKind, dict[str, Run]] = {kind: {} for kind in IdKind}
        self.rejections = Rejections()

    def run(self, symbol: str, id_kind: IdKind) -> Run | None:
        """Return the run of a known symbol, None for an unknown one. Look in ``active`` first."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return None
        run = self._runs.get((symbol, id_kind))
        # The instruments are the daemon's own: one of another tick, or followed anew, is another one.
        if run is None or run.instrument is not instrument:
            account = self._ledger.account(instrument.key)
            run = Run(instrument, id_kind, self._positions.of(symbol, id_kind), account, self.rejections.note)
            self._runs[symbol, id_kind] = run
        self.active[id_kind][symbol] = run
        return run

    def reject_frame(self, reason: str, frame: bytes) -> None:
        """Count a frame that could not be read."""
        self._ledger.frames_rejected[reason] += 1
        self.rejections.note(reason, frame)

    def reject_stranger(self, reason: str, frame: bytes) -> None:
        """Count a trade that can be held against no known symbol."""
        account = self._ledger.account(f"{self._exchange}:?")
        account.received += 1
        account.rejected[reason] += 1
        self.rejections.note(reason, frame)

    def events(self, at: int) -> list[Event]:
        """Give up what was collected; ``at`` is the receive time in µs."""
        return [*self.trades(at), *self.rejections.events()]

    def trades(self, at: int) -> list[Event]:
        """Give up the trades collected, received at ``at`` (µs), with their gaps."""
        events: list[Event] = []
        for active in self.active.values():
            if active:
                for run in active.values():
                    events += run.events(at)
                active.clear()
        return events
