"""When reads pause: under load that comes singly, and at no other time."""

import pytest

from actors.connections.gathering import PAUSE, Gathering


def played(
    gathering: Gathering, began: float, rate: int, seconds: float, burst: int = 1
) -> list[tuple[float, int]]:
    """Read what comes, ``burst`` at a time; return every read's pause and messages."""
    reads: list[tuple[float, int]] = []
    read, now = 0, 0  # µs
    while now < seconds * 1_000_000:
        now = max(now, -(-(read + burst) * 1_000_000 // rate))
        messages = now * rate // 1_000_000 // burst * burst - read
        read += messages
        pause = gathering.pause(began + now / 1_000_000, messages)
        reads.append((pause, messages))
        now += round(pause * 1_000_000)
    return reads


@pytest.mark.parametrize(
    ("rate", "burst", "pauses"),
    [
        (100, 1, False),
        (5_000, 1, False),
        (7_500, 1, False),
        (9_000, 1, True),
        (20_000, 1, True),
        (50_000, 1, True),
        (20_000, 3, True),
        (20_000, 20, False),  # it comes gathered
        (5_000, 500, False),
        (300_000, 300, False),
    ],
)
def test_pauses_come_with_load_that_comes_singly(rate: int, burst: int, pauses: bool) -> None:
    reads = played(Gathering(), 100.0, rate, 0.5, burst)
    late = reads[len(reads) // 2 :]
    assert {pause for pause, _ in late} == ({PAUSE} if pauses else {0.0})
    if pauses:
        assert len(late) < 300
    else:
        assert {pause for pause, _ in reads} == {0.0}


def test_pauses_begin_soon_and_end_with_the_load() -> None:
    gathering = Gathering()
    loaded = played(gathering, 0.0, 20_000, 0.1)
    assert [pause for pause, _ in loaded].index(PAUSE) < 70
    calm = played(gathering, 0.1, 2_000, 0.1)
    assert [pause for pause, _ in calm[-100:]] == [0.0] * 100


def test_nothing_waits_after_a_read_that_brought_many() -> None:
    gathering = Gathering()
    played(gathering, 0.0, 20_000, 0.1)
    assert gathering.pause(0.1, 20) == PAUSE
    assert gathering.pause(0.101, 300) == 0.0


def test_a_read_that_brought_no_message_is_no_load() -> None:
    gathering = Gathering()
    assert {gathering.pause(1.0, 0) for _ in range(100)} == {0.0}
