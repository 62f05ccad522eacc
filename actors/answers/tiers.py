"""What the daemon says of its storage: the journal, and each tier that follows it."""

import time

from actors.runtime import Runtime
from actors.storage.sink import Sink
from actors.storage.tier_log import Loss
from wadm.instants import iso
from wadm.market import DAY, HOUR, SECOND

#: A tier that is behind by more (µs) than this while nothing fails is catching up.
BEHIND = 10 * SECOND

#: For so long (µs) a loss is a reason for concern; it is told of ever after.
CONCERN = DAY


def states(runtime: Runtime) -> dict[str, str]:
    """Return the state of the journal and of each tier, by its engine's name: ``ok``, or what is wrong."""
    now = _now()
    sinks = {sink.target.name: _state(sink, now) for sink in runtime.sinks.values()}
    cold = runtime.archivist.progress
    return {
        "journal": runtime.writer.waiting or "ok",
        **sinks,
        "cold": "ok"
        if cold.last_error is None
        else f"{_counted(cold.waiting, 'day')} waiting: {cold.last_error}",
    }


def reasons(runtime: Runtime) -> list[str]:
    """Say what is wrong with the storage, one sentence each."""
    now, upkeep = _now(), runtime.upkeep
    found = [
        f"{sink.name} is {state}" for sink in runtime.sinks.values() if (state := _state(sink, now)) != "ok"
    ]
    told = states(runtime)
    found += [f"{name}: {told[name]}" for name in ("journal", "cold") if told[name] != "ok"]
    found += [f"the retention of the {what} failed: {why}" for what, why in upkeep.failing.items()]
    if upkeep.over:
        found.append(
            f"the journal takes {_megabytes(upkeep.over)} MB more than storage.quota_mb allows, "
            "and has only what was just received: raise the quota, or follow fewer symbols"
        )
    if upkeep.shed_at is not None and now - upkeep.shed_at < HOUR and upkeep.kept_since is not None:
        found.append(
            f"the journal has no room for all that storage.raw_retention_minutes asks for: it begins at "
            f"{iso(upkeep.kept_since)}; raise storage.quota_mb"
        )
    found += [loss_told(loss) for loss in upkeep.losses if now - loss.noted_at < CONCERN]
    return found


def status(runtime: Runtime) -> dict[str, object]:
    """Return all there is to know of the storage."""
    upkeep, cold = runtime.upkeep, runtime.archivist.progress
    return {
        "journal": {
            "path": str(runtime.journal.path),
            "last": runtime.marks.last_seq,
            "first": upkeep.first,
            "kept_since": None if upkeep.kept_since is None else iso(upkeep.kept_since),
            "bytes": upkeep.taken,
            "shed": upkeep.shed,
            "waiting": runtime.writer.waiting,
        },
        "tiers": [_tier(tier, sink) for tier, sink in runtime.sinks.items()],
        "cold": {
            "last": cold.last,
            "waiting": cold.waiting,
            "last_error": cold.last_error,
            "failures": cold.failures,
            "breaker": cold.breaker.value,
        },
        "losses": [loss_answer(loss) for loss in upkeep.losses],
    }


def _tier(tier: str, sink: Sink) -> dict[str, object]:
    progress, breaker, now = sink.progress, sink.breaker.statistics(), _now()
    return {
        "tier": tier,
        "engine": sink.target.name,
        "process": sink.worker.pid,
        "address": sink.target.address,
        "state": _state(sink, now),
        "cursor": progress.cursor,
        "lag_entries": progress.lag,
        "lag_seconds": _lag(progress.oldest, now) // SECOND,
        "failures": progress.failures,
        "last_error": progress.last_error,
        "since": None if progress.since is None else iso(progress.since),
        "breaker": breaker.state.value,
        "breaker_opened": breaker.opened,
        "slow_calls": breaker.slow,
    }


def _state(sink: Sink, now: int) -> str:
    """Say how a tier is, to follow "is": ``ok``, or failing or how far behind, and why."""
    progress = sink.progress
    lag = _lag(progress.oldest, now)
    if progress.last_error is None and lag < BEHIND:
        return "ok"
    reason = progress.last_error or "it is catching up"
    if not progress.lag:
        return f"failing: {reason}"
    return f"behind by {_counted(progress.lag, 'entry', 'entries')} ({_duration(lag)}): {reason}"


def _lag(oldest: int | None, now: int) -> int:
    return 0 if oldest is None else max(0, now - oldest)


def loss_told(loss: Loss) -> str:
    """Return a loss as a sentence."""
    if loss.trades is None or loss.records is None:
        until = "" if loss.last_at is None else f" (up to {iso(loss.last_at)})"
        return (
            f"{loss.target} came back without entries {loss.first_seq} to {loss.last_seq} of the journal"
            f"{until}, which has them no more: restore it from a backup"
        )
    what = f"{_counted(loss.trades, 'trade')} and {_counted(loss.records, 'record')}"
    span = (
        ""
        if loss.first_at is None or loss.last_at is None
        else f" of {iso(loss.first_at)} to {iso(loss.last_at)}"
    )
    return f"{loss.target} has lost {what}{span}: it was down for longer than storage.quota_mb has room for"


def loss_answer(loss: Loss) -> dict[str, object]:
    """Return a loss as it stands in answers."""
    return {
        "target": loss.target,
        "first": loss.first_seq,
        "last": loss.last_seq,
        "from": None if loss.first_at is None else iso(loss.first_at),
        "to": None if loss.last_at is None else iso(loss.last_at),
        "trades": loss.trades,
        "records": loss.records,
    }


def _now() -> int:
    return time.time_ns() // 1_000


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _megabytes(count: int) -> str:
    return f"{-(-count // (1 << 20)):,}"


def _duration(micros: int) -> str:
    """Return a length of time as ``1 h 2 m 3 s``, without what is 0 in front."""
    minutes, seconds = divmod(micros // SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts)
