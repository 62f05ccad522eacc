"""Topics and those who listen, without a socket: who is told what, in which order, and what is lost."""

import json

import pytest
import trio
from scripted_channel import BITCOIN, BROKEN, ETHER, Scripted
from trio.testing import wait_all_tasks_blocked

from actors.live import subscription as buffers
from actors.live.hub import MOST_OF_ONE, Hub, TooManyListeners
from actors.live.session import MOST_SUBSCRIPTIONS, AlreadySubscribed, TooManySubscriptions
from wadm.questions import MissingParameter, QuestionError, UnknownParameter, UnknownSymbol


async def told(session, count):
    """Return the next messages."""
    with trio.fail_after(30):
        return [json.loads((await session.next()).text) for _ in range(count)]


async def nothing_more(session):
    with trio.move_on_after(0.01) as scope:
        await session.next()
    assert scope.cancelled_caught


@pytest.fixture
def session(hub):
    with hub.session("me") as opened:
        yield opened


async def begin(session, given=BITCOIN):
    answer = session.subscribe(given)
    await wait_all_tasks_blocked()
    return answer["subscription"]


async def test_all_are_told_the_same_and_it_is_made_once(hub, news, session):
    with hub.session("another") as other:
        for one in (session, other):
            await begin(one)
        assert (news.made, hub.statistics()) == (1, {"connections": 2, "topics": 1})
        news.tell(7)
        mine, theirs = await told(session, 1), await told(other, 1)
        assert mine == theirs
        assert mine[0]["number"] == 7
        assert (mine[0]["type"], mine[0]["seq"], mine[0]["symbol"]) == ("change", 1, "BTCUSDT")


async def test_nobody_left_nothing_is_made_any_more(hub, news, session):
    number = await begin(session)
    with hub.session("another") as other:
        await begin(other)
    assert set(news.topics) == {"BTCUSDT"}
    session.unsubscribe(number)
    await wait_all_tasks_blocked()
    assert (news.topics, hub.statistics()["topics"]) == ({}, 0)
    await begin(session)
    assert news.made == 2


async def test_what_waits_is_bounded_and_what_was_lost_is_said(news, session):
    await begin(session)
    for number in range(1, 13):
        news.tell(number)
    missed, *rest = await told(session, 6)
    assert (missed["type"], missed["count"], missed["seq"], missed["cursor"]) == ("missed", 7, 7, "0")
    assert [(one["type"], one["number"], one["seq"]) for one in rest] == [
        ("change", number, number) for number in range(8, 13)
    ]
    await nothing_more(session)


async def test_bytes_are_bounded_as_well(monkeypatch, news, session):
    monkeypatch.setattr(buffers, "MOST_BYTES", 1_000)
    await begin(session)
    for number in range(1, 4):
        news.tell(number, size=400)
    missed, first = await told(session, 2)
    assert (missed["count"], first["number"]) == (2, 3)


async def test_one_that_is_slow_takes_nothing_from_the_others(hub, news, session):
    await begin(session)
    with hub.session("slow") as slow:
        await begin(slow)
        for number in range(1, 100):
            news.tell(number)
            assert [one["number"] for one in await told(session, 1)] == [number]
        assert [one["type"] for one in await told(slow, 6)] == ["missed", *["change"] * 5]


async def test_of_what_says_all_the_newest_is_a_snapshot(news, session, hub):
    news.whole, news.most = True, 2
    await begin(session)
    news.tell(1)
    news.tell(2)
    first, second = await told(session, 2)
    assert (first["type"], second["type"]) == ("snapshot", "change")
    for number in range(3, 9):
        news.tell(number)
    missed, again, last = await told(session, 3)
    assert (missed["count"], "cursor" in missed) == (4, True)
    assert (again["type"], again["number"], last["type"], last["number"]) == ("snapshot", 7, "change", 8)
    with hub.session("late") as late:
        await begin(late)
        (snapshot,) = await told(late, 1)
        assert (snapshot["type"], snapshot["number"], snapshot["seq"]) == ("snapshot", 8, 8)


async def test_what_is_told_first_comes_first_and_then_every_change(news, session):
    news.opened = True
    await begin(session)
    news.tell(1)  # before it has joined: it is in what is told first
    pages = await told(session, 3)
    assert [(one["type"], one["page"], one["seq"]) for one in pages] == [
        ("snapshot", 1, 1), ("snapshot", 2, 1), ("snapshot", 3, 1),
    ]  # fmt: skip
    news.tell(2)
    (change,) = await told(session, 1)
    assert (change["type"], change["number"], change["seq"]) == ("change", 2, 2)


async def test_subscriptions_of_one_connection_take_turns(news, session):
    await begin(session)
    await begin(session, ETHER)
    for number in range(3):
        news.tell(number)
        news.tell(number, "ETHUSDT")
    assert [one["symbol"] for one in await told(session, 6)] == ["BTCUSDT", "ETHUSDT"] * 3


async def test_a_producer_that_breaks_ends_its_own_topic_only(news, session, hub, caplog):
    other = hub.channels["more"]
    await begin(session)
    await begin(session, {**BITCOIN, "channel": "more"})
    news.tell(1)
    news.fail(RuntimeError("a bug"))
    await wait_all_tasks_blocked()
    change, ended = await told(session, 2)
    assert (change["number"], ended["type"], ended["problem"]) == (1, "ended", None)
    other.tell(5)
    assert (await told(session, 1))[0]["number"] == 5
    assert [one["channel"] for one in session.listed()] == ["more"]


async def test_a_topic_that_can_go_on_no_longer_says_why(news, session):
    await begin(session)
    news.fail(BROKEN)
    await wait_all_tasks_blocked()
    (ended,) = await told(session, 1)
    assert ended["problem"]["detail"] == str(BROKEN)
    news.failing = trio.Event()
    assert await begin(session) == 2


async def test_who_was_cancelled_while_it_waited_has_lost_nothing(news, session):
    news.opened = True
    await begin(session)
    with trio.CancelScope() as scope:
        scope.cancel()
        await session.next()
    assert [one["page"] for one in await told(session, 3)] == [1, 2, 3]


async def test_mistakes_are_told_in_words(session):
    with pytest.raises(MissingParameter, match="channel is missing; expected one of news, more"):
        session.subscribe({})
    with pytest.raises(QuestionError, match=r"channel is 'new'; expected .* \(did you mean news\?\)"):
        session.subscribe({**BITCOIN, "channel": "new"})
    with pytest.raises(UnknownParameter, match=r"dept is '1'; expected .*did you mean depth"):
        session.subscribe({**BITCOIN, "dept": "1"})
    with pytest.raises(UnknownSymbol, match="did you mean BTCUSDT"):
        session.subscribe({**BITCOIN, "symbol": "BTCUSD"})
    with pytest.raises(QuestionError, match="there is no subscription"):
        session.unsubscribe(1)


async def test_the_same_twice_is_refused_and_so_are_too_many(session, monkeypatch):
    session.subscribe(BITCOIN)
    with pytest.raises(AlreadySubscribed, match="subscription 1 already"):
        session.subscribe(BITCOIN)
    for number in range(1, MOST_SUBSCRIPTIONS):
        session.subscribe({**BITCOIN, "depth": str(number)})
    with pytest.raises(TooManySubscriptions, match="50 subscriptions"):
        session.subscribe(ETHER)
    session.unsubscribe(1)
    session.subscribe(ETHER)


async def test_connections_of_one_caller_are_bounded(hub):
    opened = [hub.session("me") for _ in range(MOST_OF_ONE)]
    for one in opened:
        one.__enter__()
    with pytest.raises(TooManyListeners, match="100 connections"), hub.session("me"):
        pass
    with hub.session("another"):
        pass
    opened[0].__exit__(None, None, None)
    with hub.session("me"):
        pass
    for one in opened[1:]:
        one.__exit__(None, None, None)
    assert hub.statistics()["connections"] == 0


async def test_a_message_too_large_for_anybody_ends_the_topic(nursery):
    class Large(Scripted):
        async def _produce(self, name, topic):
            topic.begun.set()
            topic.publish({"filling": "x" * 300_000})

    hub = Hub({"news": Large()})
    await nursery.start(hub.run)
    with hub.session("me") as session:
        await begin(session)
        (ended,) = await told(session, 1)
        assert ended["problem"]["code"] == "too_large"
