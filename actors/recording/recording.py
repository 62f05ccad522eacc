"""A whole recording: a recorder, a scribe and snapshots for each connection, under one supervisor."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs
import trio

from actors.connections.connects import Connects
from actors.connections.link import Connect
from actors.crews import INTENSITY, Reconnecting
from actors.plan import PlannedConnection
from actors.recording.capture_files import CaptureFiles, RecordingError
from actors.recording.recorder import Recorder
from actors.recording.scribe import Scribe
from actors.recording.snapshots import Snapshots
from actors.recording.tape import CAPACITY, Tape, file_name
from actors.rest import Rest
from supervision import ChildSpec, Mailbox, Restart, Supervisor

#: Seconds a scribe has to write what is left when all is to end.
LAST_WRITES = 30.0


@attrs.frozen
class Rotation:
    """When a new file begins: after so many seconds, or bytes on the disk."""

    seconds: float
    size: int


class Recording:
    """Records ``connections``, which ``connect`` opens, into ``directory``.

    Order books are asked for where ``rest`` is given.
    """

    def __init__(
        self,
        connections: Iterable[PlannedConnection],
        directory: Path,
        rotation: Rotation,
        *,
        rest: Rest | None,
        connect: Connect,
        reconnecting: Reconnecting | None = None,
    ) -> None:
        self.tapes = [_tape(planned, directory, rotation) for planned in connections]
        self.failure: RecordingError | None = None
        self._rest = rest
        self._connect = connect
        self._reconnecting = reconnecting or Reconnecting()
        self._root = Supervisor(
            "record",
            # They stop in reverse, so that a scribe finds all that was received.
            [*self._scribes(), *self._snapshots(), *self._recorders()],
            intensity=INTENSITY,
            backoff=self._reconnecting.backoff,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record until stopped, or until captures have been played. Raises RecordingError."""
        await self._root.run(task_status=task_status)
        if self.failure is not None:
            raise self.failure

    async def played(self) -> None:
        """Return when every far side was a local exchange that has played its capture."""
        for tape in self.tapes:
            await tape.memory.ended.wait()

    def stop(self) -> None:
        """Ask for an orderly end: what was received is written, and files are finished."""
        self._root.stop()

    def _fail(self, error: RecordingError) -> None:
        self.failure = self.failure or error
        self.stop()

    def _scribes(self) -> Iterator[ChildSpec]:
        for tape in self.tapes:
            scribe = Scribe(tape, self._fail)
            yield ChildSpec(
                f"scribe:{tape.files.name}", scribe.run, mailbox=tape.mailbox, shutdown_timeout=LAST_WRITES,
                kind="scribe",
            )  # fmt: skip

    def _snapshots(self) -> Iterator[ChildSpec]:
        for tape in self.tapes:
            if self._rest is not None and tape.books and not tape.books_begin_whole:
                asker = Snapshots(tape, self._rest)
                yield ChildSpec(
                    f"snapshots:{tape.files.name}", asker.run, shutdown_timeout=0, kind="snapshots"
                )

    def _recorders(self) -> Iterator[ChildSpec]:
        kept = self._reconnecting
        exchanges = {tape.planned.exchange: tape.exchange for tape in self.tapes}
        connects = {
            name: Connects(exchange.limits.connects_per_five_minutes) for name, exchange in exchanges.items()
        }
        for tape in self.tapes:
            recorder = Recorder(
                tape, connects[tape.planned.exchange], self._connect, kept.quiet_after, kept.lifetime
            )
            yield ChildSpec(
                tape.planned.name, recorder.run, restart=Restart.TRANSIENT, shutdown_timeout=0,
                breaker=kept.breaker, kind="connection",
            )  # fmt: skip


def _tape(planned: PlannedConnection, directory: Path, rotation: Rotation) -> Tape:
    name = file_name(planned)
    files = CaptureFiles(directory, name, rotation.seconds, rotation.size)
    return Tape(planned, files, Mailbox(f"scribe:{name}", CAPACITY))


def total(tapes: Sequence[Tape]) -> dict[str, int]:
    """Return the figures of all tapes together."""
    return {
        "files": sum(len(tape.files.finished) + (tape.files.part is not None) for tape in tapes),
        "frames": sum(tape.files.frames for tape in tapes),
        "bytes": sum(tape.files.written for tape in tapes),
        "reconnects": sum(tape.memory.reconnects for tape in tapes),
        "skipped": sum(tape.files.skipped for tape in tapes),
    }
