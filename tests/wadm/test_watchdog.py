"""Which streams are silent though they should not be."""

from itertools import pairwise

from wadm.watchdog import LEAST_PATIENCE, LONGEST_INTERVAL, Findings, Watchdog

PACES = {"btc": 60.0, "eth": 60.0, "fast": 5.0, "sparse": None, "sparse2": None}


def walk(
    dog: Watchdog, acknowledged: dict[str, float], moves: dict[str, float], until: float, step: float = 1.0
) -> list[tuple[float, Findings]]:
    """Look every ``step`` seconds; each stream in ``moves`` has a frame every so many seconds.

    Return the looks at which something was found.
    """
    found, now = [], max(acknowledged.values())
    while now < until:
        now += step
        heard = {stream: int(now // every) for stream, every in moves.items() if now >= every}
        findings = dog.look(acknowledged, acknowledged, heard, now)
        if findings != Findings():
            found.append((now, findings))
    return found


def test_a_stream_without_a_first_frame_is_renewed_while_a_sibling_moves() -> None:
    dog = Watchdog(PACES.get)
    found = walk(dog, {"btc": 0.0, "eth": 0.0}, {"btc": 1.0}, 65.0)
    assert found == [(60.0, Findings(renew=("eth",)))]
    assert dog.silent == {"eth": 0.0}


def test_no_stream_is_suspected_before_the_least_patience() -> None:
    found = walk(Watchdog(PACES.get), {"btc": 0.0, "fast": 0.0}, {"btc": 1.0}, 40.0)
    assert found == [(LEAST_PATIENCE, Findings(renew=("fast",)))]


def test_a_stream_that_stays_silent_is_renewed_at_doubled_intervals() -> None:
    found = walk(Watchdog(PACES.get), {"btc": 0.0, "fast": 0.0}, {"btc": 1.0}, 12_000.0)
    times = [at for at, findings in found if findings.renew]
    pauses = [later - before for before, later in pairwise(times)]
    assert pauses[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, 960.0]
    assert set(pauses[6:]) == {LONGEST_INTERVAL}


def test_the_next_frame_ends_the_alarm() -> None:
    dog = Watchdog(PACES.get)
    acknowledged = {"btc": 0.0, "eth": 0.0}
    walk(dog, acknowledged, {"btc": 1.0}, 70.0)
    assert dog.look(acknowledged, acknowledged, {"btc": 71, "eth": 1}, 71.0) == Findings(spoken=("eth",))
    assert dog.silent == {}


def test_a_stream_that_falls_silent_is_suspected_as_one_that_never_spoke() -> None:
    dog = Watchdog(PACES.get)
    acknowledged = {"btc": 0.0, "eth": 0.0}
    found = []
    for now in range(1, 200):
        heard = {"btc": now, "eth": min(now, 100)}
        findings = dog.look(acknowledged, acknowledged, heard, float(now))
        found += [(now, findings.renew)] if findings.renew else []
    assert found == [(160, ("eth",))]


def test_sparse_streams_are_never_suspected() -> None:
    dog = Watchdog(PACES.get)
    assert walk(dog, {"btc": 0.0, "sparse": 0.0}, {"btc": 1.0}, 5_000.0) == []
    assert walk(Watchdog(PACES.get), {"sparse": 0.0, "sparse2": 0.0}, {}, 5_000.0) == []


def test_all_are_silent_when_no_stream_that_should_move_has_moved() -> None:
    found = walk(Watchdog(PACES.get), {"btc": 0.0, "eth": 0.0, "sparse": 0.0}, {"sparse": 7.0}, 60.0)
    assert found == [(60.0, Findings(all_silent=True))]


def test_leniency_delays_only_the_verdict_on_all() -> None:
    dog = Watchdog(PACES.get, leniency=4.0)
    found = walk(dog, {"btc": 0.0, "eth": 0.0}, {}, 240.0)
    assert found == [(240.0, Findings(all_silent=True))]


def test_while_it_is_subscribed_to_anew_a_stream_keeps_its_alarm_and_is_not_judged() -> None:
    dog = Watchdog(PACES.get)
    both = {"btc": 0.0, "eth": 0.0}
    walk(dog, both, {"btc": 1.0}, 61.0)
    for now in range(62, 1_000):
        assert dog.look(both, {"btc": 0.0}, {"btc": now}, float(now)) == Findings()
    assert dog.silent == {"eth": 0.0}
    # Its time begins again with the answer.
    again = {"btc": 0.0, "eth": 1_000.0}
    assert walk(dog, again, {"btc": 1.0}, 1_065.0) == [(1_060.0, Findings(renew=("eth",)))]


def test_a_stream_that_is_wanted_no_more_is_forgotten() -> None:
    dog = Watchdog(PACES.get)
    walk(dog, {"btc": 0.0, "eth": 0.0}, {"btc": 1.0}, 61.0)
    dog.look(["btc"], {"btc": 0.0}, {"btc": 62}, 62.0)
    assert dog.silent == {}
