"""Which faults a seed draws: the same ones every time, of the kinds asked for, never too close together."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.drill.course import Course, Drill
from actors.drill.schedule import (
    DAEMON_KINDS,
    EXCHANGE_KINDS,
    KILL_SPACING,
    KINDS,
    PROCESS_KINDS,
    Fault,
    KindError,
    draw,
    read_kinds,
)
from actors.playback import faults
from actors.playback.capture import Capture, read_capture
from actors.playback.captures import bundled

TARGETS = {
    "kill": ["aggregators/a", "aggregators/b", "connections/c", "storage/writer"],
    "slow-consumer": ["a", "writer"],
}

#: Seconds within which no second fault of a kind follows; for slow consumers, of the same one.
APART = {"sigkill": 8.0, "silence": 4.0, "disk-full": 3.0, "disconnect": 0.6, "slow-consumer": 0.4}

#: A storm is over after so many seconds; its actor is left alone for this long afterwards.
STORM, CALM = 0.12, 15.0

kinds = st.lists(st.sampled_from(KINDS), min_size=1, unique=True)
seeds = st.integers(0, 2**63)
lengths = st.floats(0.1, 300.0)
counts = st.integers(0, 600)


def moments(drawn: list[Fault]) -> dict[tuple[str, str], list[float]]:
    """Return when each kind struck, each target on its own."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for fault in drawn:
        found[fault.kind, fault.target].append(fault.at)
    return found


# --- what is drawn ---


@given(seeds, kinds, lengths, counts)
def test_the_same_seed_draws_the_same_faults(seed: int, some: list[str], seconds: float, count: int) -> None:
    first = draw(seed, some, seconds, count, TARGETS)
    assert draw(seed, some, seconds, count, TARGETS) == first


def test_another_seed_draws_others() -> None:
    assert len({tuple(draw(seed, KINDS, 60.0, 300, TARGETS)) for seed in range(20)}) == 20


@given(seeds, kinds, lengths, counts)
def test_what_is_drawn_is_of_the_kinds_asked_for_in_order_within_the_time_and_hits_somebody(
    seed: int, some: list[str], seconds: float, count: int
) -> None:
    drawn = draw(seed, some, seconds, count, TARGETS)
    assert {fault.kind for fault in drawn} <= set(some)
    assert [fault.at for fault in drawn] == sorted(fault.at for fault in drawn)
    assert all(0 <= fault.at <= seconds + STORM for fault in drawn)
    for fault in drawn:
        assert fault.target in TARGETS.get(fault.kind, [""])
        assert (fault.seconds > 0) == (fault.kind in ("silence", "slow-consumer", "disk-full"))


@given(seeds, kinds, lengths, counts)
def test_whoever_was_hit_is_left_to_recover(seed: int, some: list[str], seconds: float, count: int) -> None:
    for (kind, _), at in moments(draw(seed, some, seconds, count, TARGETS)).items():
        if kind != "kill":
            assert all(later - earlier >= APART.get(kind, 0.0) for earlier, later in pairwise(at))


@given(seeds, lengths, counts)
def test_an_actor_is_killed_again_only_once_its_restart_is_immediate_or_in_a_storm(
    seed: int, seconds: float, count: int
) -> None:
    for at in moments(draw(seed, ["kill"], seconds, count, TARGETS)).values():
        bursts: list[list[float]] = []
        for moment in at:
            if bursts and moment - bursts[-1][0] <= STORM + 1e-9:
                bursts[-1].append(moment)
            else:
                bursts.append([moment])
        assert {len(burst) for burst in bursts} <= {1, 4}
        for earlier, later in pairwise(bursts):
            assert later[0] - earlier[0] >= (KILL_SPACING if len(earlier) == 1 else CALM)


def test_there_are_storms_but_not_many() -> None:
    drawn = [fault for seed in range(10) for fault in draw(seed, ["kill"], 300.0, 900, TARGETS)]
    storms = sum(1 for earlier, later in pairwise(drawn) if 0 < later.at - earlier.at == pytest.approx(0.02))
    assert 10 < storms < len(drawn) / 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_drawn_alone(kind: str) -> None:
    drawn = draw(1, [kind], 60.0, 40, TARGETS)
    assert drawn
    assert {fault.kind for fault in drawn} == {kind}


def test_every_kind_is_drawn_where_all_are_asked_for() -> None:
    for seed in range(20):
        assert {fault.kind for fault in draw(seed, KINDS, 100.0, 1_400, TARGETS)} == set(KINDS)


# --- laid over a recording ---


@pytest.fixture(scope="module")
def capture() -> Capture:
    return read_capture([bundled()])


def course(capture: Capture, seed: int) -> Course:
    return Course.plan(Drill([bundled()], "binance", seed), capture)


@pytest.mark.parametrize("seed", range(12))
def test_by_default_a_thousand_faults_and_some_to_spare_fit_into_the_bundled_recording(
    capture: Capture, seed: int
) -> None:
    planned = course(capture, seed)
    count = len(planned.exchange_faults) + sum(map(len, planned.orders.values()))
    assert count >= 1_150
    first, last = capture.frames[0].at, capture.frames[-1].at
    assert 95 <= (last - first) / 1e9 / planned.speed <= 105


def test_each_fault_goes_to_whoever_carries_it_out(capture: Capture) -> None:
    planned = course(capture, 3)
    assert planned == course(capture, 3)
    assert {fault.kind for fault in planned.exchange_faults} == set(EXCHANGE_KINDS) <= set(faults.KINDS)
    ordered = {fault.kind for orders in planned.orders.values() for fault in orders}
    assert ordered == {*DAEMON_KINDS, *PROCESS_KINDS}
    assert len({fault.at for fault in planned.exchange_faults}) == len(planned.exchange_faults)
    assert all(0 <= frame < len(capture.frames) for frame in planned.orders)


def test_nothing_goes_wrong_before_every_symbol_has_traded(capture: Capture) -> None:
    planned = course(capture, 3)
    first = min(*planned.orders, *(fault.at for fault in planned.exchange_faults))
    assert {frame.stream for frame in capture.frames[:first]} == set(capture.streams)


# --- kinds ---


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("kill", ("kill",)),
        (" silence , kill,,kill", ("silence", "kill")),
        (",".join(KINDS), KINDS),
    ],
)
def test_kinds_are_read_from_a_list(text: str, read: tuple[str, ...]) -> None:
    assert read_kinds(text) == read


@pytest.mark.parametrize("text", ["", " , ", "kil", "kill,flood", "KILL"])
def test_what_is_no_kind_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(KindError) as refused:
        read_kinds(text)
    assert str(refused.value) == f"faults {text!r}: expected some of {', '.join(KINDS)}"
