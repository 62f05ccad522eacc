"""Which faults happen when: drawn from a seed, so that a drill can be repeated. Pure."""

from collections.abc import Mapping, Sequence
from random import Random

import attrs

from wadm.mistakes import Mistake

#: What the local exchange does to its frames and connections.
EXCHANGE_KINDS = ("disconnect", "duplicate", "reorder", "malformed", "silence")

#: What is done to the daemon from inside its process, and to the process itself.
DAEMON_KINDS = ("kill", "slow-consumer", "disk-full")
PROCESS_KINDS = ("sigkill",)

KINDS = (*DAEMON_KINDS, *PROCESS_KINDS, *EXCHANGE_KINDS)

#: How often each kind is drawn, relative to the others.
_WEIGHTS = {
    "kill": 40,
    "slow-consumer": 6,
    "disk-full": 2,
    "disconnect": 8,
    "duplicate": 18,
    "reorder": 18,
    "malformed": 18,
    "silence": 1,
}

#: Faults after which the daemon needs a while: seconds in which none of the same kind follows.
_SPACING = {"sigkill": 8.0, "silence": 4.0, "disk-full": 3.0, "disconnect": 0.6, "slow-consumer": 0.4}

#: Seconds between two kills of one actor: it must have run long enough for its restart to be immediate.
KILL_SPACING = 1.5

#: Of so many kills one is a storm: the same actor again, several times, faster than it can come back.
_STORM_EVERY = 60
_STORM = (0.02, 0.05, 0.12)


@attrs.frozen
class Fault:
    """A fault ``at`` seconds into the playback; ``target`` names an actor, it lasts ``seconds``."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0


class KindError(Mistake):
    """A kind of fault that does not exist."""


def read_kinds(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of kinds. Raises KindError naming those there are."""
    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",") if kind.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise KindError(f"faults {text!r}: expected some of {', '.join(KINDS)}")
    return kinds


def draw(
    seed: int, kinds: Sequence[str], seconds: float, count: int, targets: Mapping[str, Sequence[str]]
) -> list[Fault]:
    """Return ``count`` faults over ``seconds`` of playback, ascending; fewer where they would not fit.

    ``targets`` names the actors that may be hit: for ``kill`` and for ``slow-consumer``.
    """
    random = Random(seed)
    sudden = [kind for kind in kinds if kind in PROCESS_KINDS]
    faults = [
        Fault(at, kind)
        for kind in sudden
        for at in _spread(random, seconds, int(seconds // _SPACING[kind]) // 4 + 1)
    ]
    common = [kind for kind in kinds if kind not in PROCESS_KINDS]
    last: dict[str, float] = {}
    moments = sorted(random.uniform(0, seconds) for _ in range(max(0, count - len(faults)))) if common else []
    for at in moments:
        faults += _one(random, at, common, targets, last)
    return sorted(faults, key=lambda fault: fault.at)


def _spread(random: Random, seconds: float, count: int) -> list[float]:
    """Return moments, one in each of ``count`` equal parts, away from the parts' ends."""
    part = seconds / count
    return [part * (index + random.uniform(0.3, 0.8)) for index in range(count)]


def _one(
    random: Random,
    at: float,
    kinds: Sequence[str],
    targets: Mapping[str, Sequence[str]],
    last: dict[str, float],
) -> list[Fault]:
    """Return the fault of one moment, of a kind and target that did not have theirs a moment ago."""
    for _ in range(20):
        kind = random.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
        target = random.choice(targets[kind]) if kind in targets else ""
        spacing = KILL_SPACING if kind == "kill" else _SPACING.get(kind, 0.0)
        if at - last.get(kind + target, -spacing) >= spacing:
            last[kind + target] = at
            return _made(random, at, kind, target, last)
    return []


def _made(random: Random, at: float, kind: str, target: str, last: dict[str, float]) -> list[Fault]:
    if kind == "kill" and random.randrange(_STORM_EVERY) == 0:
        last[kind + target] = at + _STORM[-1] + 10 * KILL_SPACING
        return [Fault(at + after, kind, target) for after in (0.0, *_STORM)]
    lasting = {
        "silence": 1.5,
        "slow-consumer": random.uniform(0.02, 0.3),
        "disk-full": random.uniform(0.1, 0.5),
    }
    return [Fault(at, kind, target, lasting.get(kind, 0.0))]
