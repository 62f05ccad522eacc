"""What is asked of an exchange, so that it sends what is wanted, and what its answers change."""

from collections.abc import Mapping

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges import registry
from wadm.exchanges.base import ALREADY_SUBSCRIBED, LimitError, Refused
from wadm.ledger import Ledger
from wadm.subscriber import ANSWER_WITHIN, Subscriber, Unanswered


def subscriber(exchange: str = "binance", size: int = 200) -> Subscriber:
    found = registry.find(exchange)
    return Subscriber(found.codec({}, found.positions(), Ledger()), size)


def asked(one: Subscriber, wanted: list[str], now: float = 0.0) -> list[tuple[str, list[str], str]]:
    """Return (method, streams, id) of everything that is asked now."""
    found = []
    while one.has_to_ask(wanted):
        for frame in one.ask(wanted, now):
            request = msgspec.json.decode(frame)
            found.append((request["method"], request["params"], str(request["id"])))
    return found


def refuse(one: Subscriber, request_id: str | None, message: str = "no", code: str = "") -> Mapping[str, str]:
    return one.refuse(Refused(request_id, code, message), 9.0)


def test_what_is_wanted_is_asked_for_once() -> None:
    one = subscriber(size=2)
    assert asked(one, ["a@trade", "b@trade", "c@trade"]) == [
        ("SUBSCRIBE", ["a@trade", "b@trade"], "1"),
        ("SUBSCRIBE", ["c@trade"], "2"),
    ]
    assert asked(one, ["a@trade", "b@trade", "c@trade"]) == []
    one.accept("1", 5.0)
    assert not one.settled(["a@trade", "b@trade", "c@trade"])
    one.accept("2", 6.0)
    assert one.settled(["a@trade", "b@trade", "c@trade"])
    assert one.acknowledged == {"a@trade": 5.0, "b@trade": 5.0, "c@trade": 6.0}
    assert one.idle


def test_what_changes_is_asked_for_and_nothing_else() -> None:
    one = subscriber()
    asked(one, ["a@trade", "b@trade"])
    one.accept("1", 0.0)
    assert asked(one, ["b@trade", "c@trade"]) == [
        ("UNSUBSCRIBE", ["a@trade"], "2"),
        ("SUBSCRIBE", ["c@trade"], "3"),
    ]
    assert list(one.acknowledged) == ["b@trade"]


def test_a_renewed_stream_is_given_up_then_asked_for_again_while_others_go_on() -> None:
    one = subscriber()
    wanted = ["a@trade", "b@trade"]
    asked(one, wanted)
    one.accept("1", 0.0)
    one.renew(["b@trade", "unknown@trade"])
    assert asked(one, wanted) == [("UNSUBSCRIBE", ["b@trade"], "2")]
    assert not one.settled(wanted)
    one.accept("2", 1.0)
    assert asked(one, wanted) == [("SUBSCRIBE", ["b@trade"], "3")]
    one.accept("3", 2.0)
    assert one.acknowledged == {"a@trade": 0.0, "b@trade": 2.0}


def test_a_refusal_concerns_the_one_stream_that_is_to_blame() -> None:
    one = subscriber()
    wanted = ["a@trade", "b@trade", "c@trade", "bad@trade"]
    (request,) = asked(one, wanted)
    assert refuse(one, request[2], "Invalid symbol") == {}
    while requests := asked(one, wanted):
        for _, streams, number in requests:
            if "bad@trade" in streams:
                refuse(one, number, "Invalid symbol")
            else:
                one.accept(number, 1.0)
    assert one.refused == {"bad@trade": "Invalid symbol"}
    assert sorted(one.acknowledged) == ["a@trade", "b@trade", "c@trade"]
    assert one.settled(wanted)


def test_a_refused_stream_is_asked_for_again_when_renewed_or_carried_anew() -> None:
    one = subscriber()
    asked(one, ["bad@trade"])
    refuse(one, "1")
    assert asked(one, ["bad@trade"]) == []
    one.renew(["bad@trade"])
    ((_, streams, number),) = asked(one, ["bad@trade"])
    assert streams == ["bad@trade"]
    refuse(one, number)
    assert asked(one, []) == []
    assert one.refused == {}
    assert [streams for _, streams, _ in asked(one, ["bad@trade"])] == [["bad@trade"]]


def test_a_refusal_without_an_id_is_that_of_the_only_request_under_way() -> None:
    one = subscriber(size=1)
    asked(one, ["a@trade"])
    assert refuse(one, None) == {"a@trade": "no"}
    asked(one, ["a@trade", "b@trade", "c@trade"])
    assert refuse(one, None) == {}
    assert refuse(one, "77") == {}


def test_what_is_subscribed_already_is_subscribed() -> None:
    one = subscriber()
    asked(one, ["a@trade"])
    assert refuse(one, "1", "error:already subscribed,topic:a", ALREADY_SUBSCRIBED) == {}
    assert one.acknowledged == {"a@trade": 9.0}
    assert one.refused == {}


def test_a_request_to_give_up_that_is_refused_has_given_up() -> None:
    one = subscriber()
    asked(one, ["a@trade"])
    one.accept("1", 0.0)
    asked(one, [])
    refuse(one, "2")
    assert one.idle
    assert one.refused == {}


def test_what_is_not_answered_is_asked_once_more_and_then_the_connection_is_lost() -> None:
    one = subscriber()
    asked(one, ["a@trade"], now=100.0)
    assert one.due == 100.0 + ANSWER_WITHIN
    assert one.expire(100.0 + ANSWER_WITHIN - 0.1) == []
    assert one.expire(100.0 + ANSWER_WITHIN) == ["a@trade"]
    assert asked(one, ["a@trade"], now=111.0) == [("SUBSCRIBE", ["a@trade"], "2")]
    with pytest.raises(Unanswered, match="no answer to a request for a@trade, asked twice"):
        one.expire(111.0 + ANSWER_WITHIN)


def test_what_is_given_up_before_it_is_asked_once_more_is_not_asked() -> None:
    one = subscriber()
    asked(one, ["a@trade"], now=0.0)
    one.expire(ANSWER_WITHIN)
    assert asked(one, []) == []
    assert one.idle


@attrs.define
class _Strict:
    """A codec whose exchange allows nothing."""

    def subscribe(self, streams: list[str]) -> list[tuple[str, str]]:
        raise LimitError("at most 0 are allowed")


def test_what_passes_a_limit_is_refused_with_its_name() -> None:
    one = Subscriber(_Strict())  # type: ignore[arg-type]
    assert asked(one, ["a@trade"]) == []
    assert one.refused == {"a@trade": "at most 0 are allowed"}


@given(st.data())
def test_whatever_is_wanted_renewed_refused_or_lost_it_comes_to_what_is_wanted(data: st.DataObject) -> None:
    one = subscriber(size=data.draw(st.integers(1, 4)))
    names = [f"{letter}@trade" for letter in "abcdefg"]
    bad = set(data.draw(st.lists(st.sampled_from(names), max_size=2)))
    on: set[str] = set()  # what the exchange sends
    now, wanted, under_way = 0.0, list[str](), list[tuple[str, list[str], str]]()

    def answer() -> None:
        method, streams, number = under_way.pop(0)
        if method == "UNSUBSCRIBE":
            on.difference_update(streams)
            one.accept(number, now)
        elif bad & set(streams):
            refuse(one, number)
        else:
            on.update(streams)
            one.accept(number, now)

    for _ in range(data.draw(st.integers(1, 20))):
        now += 1
        step = data.draw(st.sampled_from(["want", "renew", "answer", "ask"]))
        if step == "want":
            wanted = data.draw(st.lists(st.sampled_from(names), unique=True))
        elif step == "renew":
            one.renew(data.draw(st.lists(st.sampled_from(names), max_size=2)))
        elif step == "answer" and under_way:
            answer()
        under_way += asked(one, wanted, now)
    while under_way:
        answer()
        under_way += asked(one, wanted, now)
    assert one.idle
    assert one.settled(wanted)
    assert on == set(wanted) - bad == set(one.acknowledged)
    assert set(one.refused) == set(wanted) & bad
