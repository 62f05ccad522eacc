"""Faults: exactly what they say, to whom they concern, and told."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from playback_recordings import NS, aggregate, host_of, listen, trade, write_capture

from actors.connections.framing import message_frame
from actors.playback import player as player_module
from actors.playback import process as process_module
from actors.playback.binance import BINANCE
from actors.playback.capture import Capture, Frame
from actors.playback.damage import damage, is_extra
from actors.playback.faults import (
    DISCONNECT,
    DROP,
    DUPLICATE,
    KINDS,
    MALFORMED,
    REORDER,
    REST_KINDS,
    RESTART,
    SHUTDOWN,
    SILENCE,
    Fault,
    FaultsError,
    Script,
    Struck,
    cuts,
    read_faults,
    read_marks,
)
from actors.playback.player import Observer, Player
from actors.playback.process import LocalExchange, LocalExchangeError, local_exchange
from actors.playback.seat import Seat
from actors.playback.terms import Terms
from wadm.exchanges.binance_frames import Aggregate, Trade, Wrapped

# --- damage ---


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


texts = st.text("aé€😀\"\\{}[]:,'", max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from("epqtTmuUba") | texts, values, min_size=1, max_size=6)
messages = payloads | payloads.map(lambda data: {"stream": "b@trade", "data": data}) | values


@given(messages.map(msgspec.json.encode), st.integers(0, 10**6))
def test_damage_is_done_and_leaves_utf8(text: bytes, at: int) -> None:
    damaged = damage(text, at)
    assert damaged != text
    damaged.decode()


@given(messages.map(msgspec.json.encode), st.integers(0, 10**6), st.sampled_from([0, 1]))
def test_what_is_cut_or_flipped_is_not_json(text: bytes, turn: int, variant: int) -> None:
    assert not is_json(damage(text, 5 * turn + variant))


@given(payloads, st.booleans(), st.integers(0, 10**6))
def test_a_field_is_missing(payload: dict[str, Any], wrapped: bool, turn: int) -> None:
    message = {"stream": "b@trade", "data": payload} if wrapped else payload
    left = json.loads(damage(msgspec.json.encode(message), 5 * turn + 2))
    left = left["data"] if wrapped else left
    assert len(left) == len(payload) - 1
    assert (
        left.items() <= payload.items() if all(isinstance(v, int | str) for v in payload.values()) else True
    )


@pytest.mark.parametrize("at", range(40))
@pytest.mark.parametrize("bare", [False, True])
def test_no_damaged_trade_can_be_read(at: int, bare: bool) -> None:
    for text, wrapped_type, bare_type in (
        (trade("b", 7), Wrapped[Trade], Trade),
        (aggregate("b", 7, 1, 2), Wrapped[Aggregate], Aggregate),
    ):
        data = msgspec.json.encode(json.loads(text)["data"]) if bare else text
        kind = bare_type if bare else wrapped_type
        msgspec.json.decode(data, type=kind)
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(damage(data, at), type=kind)


def test_damages_rotate() -> None:
    text = trade("b", 7)
    damages = [damage(text, at) for at in range(5)]
    assert [is_json(text) for text in damages] == [False, False, True, True, False]
    assert [is_extra(at) for at in range(6)] == [False] * 4 + [True, False]
    missing, mistyped = (json.loads(text)["data"] for text in damages[2:4])
    assert set(json.loads(text)["data"]) - set(missing) == {"t"}
    assert mistyped["t"] == {}
    assert len({damage(text, 2 + 5 * turn) for turn in range(10)}) == 5


# --- scripts ---


def test_faults_and_marks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text('[{"at": 7, "kind": "duplicate"}, {"at": 8, "kind": "silence", "seconds": 1.5}]')
    assert read_faults(path) == (Fault(7, DUPLICATE), Fault(8, SILENCE, 1.5))
    path.write_text("[3, 1, 3]")
    assert read_marks(path) == {1, 3}


@pytest.mark.parametrize(
    "content", ["", "{}", "[1.5]", '[{"at": 1}]', '[{"at": 1, "kind": "silence", "for": 2}]', "\xff"]
)
@pytest.mark.parametrize("read", [read_faults, read_marks])
def test_what_is_no_script(tmp_path: Path, content: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / "script"
    path.write_text(content, "latin-1")
    with pytest.raises(FaultsError, match=f"^{path}: .*: expected .*]$"):
        read(path)
    path.unlink()
    with pytest.raises(FaultsError, match=f"^{path}: cannot be read: No such file or directory$"):
        read(path)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (Script((Fault(10, DUPLICATE),)), "the duplicate at 10: expected the index of a frame, 0 to 9"),
        (Script((Fault(-1, SILENCE),)), "the silence at -1: expected the index of a frame, 0 to 9"),
        (Script((Fault(1, SILENCE, -1.0),)), "the silence at 1 lasts -1.0 s: expected 0 or more"),
        (Script((Fault(1, "kill"),)), "the fault at 1 is 'kill': expected one of disconnect, silence"),
        (Script(marks=frozenset({3, 10})), "the mark at 10: expected the index of a frame, 0 to 9"),
    ],
)
def test_what_does_not_fit_a_capture(script: Script, sentence: str) -> None:
    with pytest.raises(FaultsError, match=sentence):
        script.check(10)


@given(st.integers(1, 60), st.data())
def test_batches_are_cut(frames: int, data: st.DataObject) -> None:
    indexes = st.sets(st.integers(0, frames - 1))
    alone, ends = data.draw(indexes), data.draw(indexes)
    found = cuts(frames, alone, ends)
    assert found == sorted(set(found))
    assert found[-1] == frames
    batches = [range(start, stop) for start, stop in zip([0, *found], found, strict=False)]
    assert [index for batch in batches for index in batch] == list(range(frames))
    assert all(len(batch) == 1 for batch in batches if alone & set(batch))
    assert ends <= {batch[-1] for batch in batches}
    assert len(found) <= 1 + 2 * len(alone) + len(ends)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=20), st.data())
def test_a_reordered_frame_follows_the_next_of_its_stream(streams: list[str], data: st.DataObject) -> None:
    indexes = data.draw(st.sets(st.integers(0, len(streams) - 1)))
    found = Script(tuple(Fault(at, REORDER) for at in indexes)).followers(streams)
    for at in indexes:
        later = [other for other in range(at + 1, len(streams)) if streams[other] == streams[at]]
        assert found.get(at) == (later[0] if later else None)
    assert found.keys() <= indexes


# --- the player, without sockets ---


class Ear:
    """An outbox that notes what it is given."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.silent = False
        self.to_be_cut = False

    def put(self, frames: Sequence[bytes]) -> None:
        assert not self.silent
        assert not self.to_be_cut
        self.heard += frames

    async def room(self) -> None:
        pass

    async def flushed(self) -> None:
        pass

    def silence(self, seconds: float) -> None:
        self.silent = True  # for good: no time passes here

    def stall(self, seconds: float) -> None:
        pass

    def slow_down(self, seconds: float) -> None:
        pass

    def cut(self, *, reset: bool) -> None:
        self.to_be_cut = True


def body(frame: Frame) -> bytes:
    return frame.body


@attrs.frozen
class Fixed:
    """A session with fixed subscriptions."""

    receives: frozenset[str]
    requests: int = 1
    render: Callable[[Frame], bytes] = body

    def farewell(self, time: int) -> bytes:
        return b"farewell"


def model(frames: Sequence[Frame], faults: Sequence[Fault], receives: frozenset[str]) -> list[bytes]:
    """What one client hears, frame by frame."""
    heard: list[bytes] = []
    waiting: dict[int, list[bytes]] = {}
    for at, frame in enumerate(frames):
        if frame.stream not in receives:
            continue
        kinds = {fault.kind for fault in faults if fault.at == at}
        if kinds & {DISCONNECT, SILENCE}:
            break
        heard += [b"farewell"] * (SHUTDOWN in kinds)
        if DROP in kinds:
            heard += waiting.pop(at, [])
            continue
        copies = [frame.body]
        if MALFORMED in kinds:
            copies = [frame.body] * is_extra(at) + [damage(frame.body, at)]
        copies *= 1 + (DUPLICATE in kinds)
        later = [other for other in range(at + 1, len(frames)) if frames[other].stream == frame.stream]
        if REORDER in kinds and later:
            waiting[later[0]] = copies
            copies = []
        heard += copies + waiting.pop(at, [])
    return heard


KEYS = "abc"


@given(
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=40),
    st.lists(st.sets(st.sampled_from(KEYS)).map(frozenset), max_size=3),
    st.sampled_from([1, 3, 512]),
    st.data(),
)
def test_whatever_happens_each_client_hears_what_it_should(
    streams: list[str], clients: list[frozenset[str]], batch: int, data: st.DataObject
) -> None:
    frames = [Frame(NS, stream, b'{"t":%d}' % at) for at, stream in enumerate(streams)]
    index = st.integers(0, len(frames) - 1)
    faults = data.draw(st.lists(st.builds(Fault, index, st.sampled_from(KINDS)), max_size=8))
    marks = data.draw(st.sets(index))
    struck: list[Struck] = []
    passed: list[tuple[int, int]] = []
    capture = Capture(frames, [], tuple(dict.fromkeys(streams)))

    async def play() -> list[bytes]:
        observer = Observer(struck.append, lambda frame: passed.append((frame, player.position)))
        player = Player(
            capture, float("inf"), 0, script=Script(tuple(faults), frozenset(marks)), observer=observer
        )
        ears = [Ear() for _ in clients]
        for ear, receives in zip(ears, clients, strict=True):
            player.join(Seat(Fixed(receives), ear, lambda _: None))  # type: ignore[arg-type]  # as much as is needed
        played = await player.run()
        assert played.frames + played.lost == len(frames)
        return [b"".join(ear.heard) for ear in ears]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(player_module, "BATCH", batch)
        heard = trio.run(play)
    assert heard == [b"".join(map(message_frame, model(frames, faults, receives))) for receives in clients]
    assert passed == [(mark, mark + 1) for mark in sorted(marks)]
    assert [one.frame for one in struck] == sorted(fault.at for fault in faults)
    assert Counter((one.kind, one.frame) for one in struck) == Counter((one.kind, one.at) for one in faults)
    hits = [one for one in struck if not one.missed]
    assert len({(one.kind, one.frame) for one in hits}) == len(hits)
    assert all(
        any(streams[one.frame] in receives for receives in clients) or one.kind in REST_KINDS for one in hits
    )


async def test_without_faults_batches_are_whole() -> None:
    frames = [Frame(NS, "a", b"%d" % at) for at in range(2000)]
    player = Player(Capture(frames, [], ("a",)), float("inf"), 0)
    assert [player._due(at, 0) for at in (0, 100, 1999)] == [512, 612, 2000]


HANDSHAKE = (
    b"GET /ws/a@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_in_a_silence_there_are_neither_pings_nor_answers(autojump_clock: object) -> None:
    """Frames once a second; silence at the 10th, for 20.5 s. What was asked is answered when it is over."""
    frames = [Frame(NS + at * 10**9, "a@trade", b'{"t":%d}' % at) for at in range(60)]
    script = Script((Fault(10, SILENCE, 20.5),))
    capture = Capture(frames, [], ("a@trade",))
    player = Player(capture, 1.0, script=script)
    dialect = attrs.evolve(BINANCE, terms=Terms(ping_interval=3))
    client, server = trio.testing.memory_stream_pair()
    received: list[tuple[float, bytes]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(capture, player, dialect).serve, server)
        await client.send_all(HANDSHAKE)
        assert b"101" in bytes(await client.receive_some())
        nursery.start_soon(player.run)
        begun = trio.current_time()

        async def ask() -> None:
            await trio.sleep(15)
            await client.send_all(b"\x81\x82\0\0\0\0{}")

        nursery.start_soon(ask)
        while trio.current_time() - begun < 50:
            data = bytes(await client.receive_some())
            received.append((trio.current_time() - begun, data))
            if b"\x89\x04" in data:
                at = data.index(b"\x89\x04")
                await client.send_all(b"\x8a\x84\0\0\0\0" + data[at + 2 : at + 6])
        nursery.cancel_scope.cancel()
    assert not [at for at, _ in received if 10.1 < at < 30.4]
    said = b"".join(data for _, data in received)
    heard = [at for at in range(50) if b'{"t":%d}' % at in said]
    assert heard == [*range(10), *range(31, 50)]
    before = b"".join(data for at, data in received if at < 15)
    assert b"\x89\x04" in before
    assert b"code" not in before
    assert said.count(b'"code":2') == 1
    assert said.count(b"\x89\x04") == pytest.approx(10, abs=2)


# --- over sockets, of a process ---


def two_streams(path: Path) -> Path:
    """Twenty trades of a and b by turns, 20 ms apart."""
    return write_capture(path / "capture", BODIES)


BODIES = [trade("ab"[at % 2], at) for at in range(20)]
BOTH = "/stream?streams=a@trade/b@trade"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return two_streams(tmp_path)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({0: DUPLICATE, 6: DUPLICATE, 19: DUPLICATE}, [BODIES[0], *BODIES[:7], *BODIES[6:], BODIES[19]]),
        ({6: REORDER}, [*BODIES[:6], BODIES[7], BODIES[8], BODIES[6], *BODIES[9:]]),
        (
            {0: REORDER, 17: REORDER},
            [BODIES[1], BODIES[2], BODIES[0], *BODIES[3:17], BODIES[18], BODIES[19], BODIES[17]],
        ),
        ({0: MALFORMED, 19: MALFORMED}, [damage(BODIES[0], 0), *BODIES[1:], damage(BODIES[19], 19)]),
    ],
)
async def test_frames_are_struck(small: Path, kinds: dict[int, str], expected: list[bytes]) -> None:
    faults = [Fault(at, kind) for at, kind in kinds.items()]
    struck: list[Struck] = []
    async with local_exchange([small], exchange="binance", faults=faults, on_fault=struck.append) as exchange:
        assert await listen(exchange, BOTH) == (expected, 1000)
        await exchange.done.wait()
        assert exchange.faults == Counter(kinds.values())
        assert exchange.missed == {}
        assert exchange.played is not None
        assert (exchange.played.frames, exchange.played.lost) == (20, 0)
    assert struck == [Struck(kind, at) for at, kind in kinds.items()]


async def test_every_frame_is_damaged_in_its_own_way(small: Path) -> None:
    """At every fifth index the good frame comes first."""
    faults = [Fault(at, MALFORMED) for at in range(20)]
    expected = [
        text for at, good in enumerate(BODIES) for text in [good] * (at % 5 == 4) + [damage(good, at)]
    ]
    async with local_exchange([small], exchange="binance", faults=faults) as exchange:
        assert await listen(exchange, BOTH) == (expected, 1000)
        assert exchange.faults == {MALFORMED: 20}


@pytest.mark.parametrize("speed", ["max", 10])
async def test_many_faults_at_once(small: Path, speed: float | str) -> None:
    faults = [
        Fault(2, DUPLICATE),
        Fault(2, MALFORMED),
        Fault(5, REORDER),
        Fault(7, REORDER),
        Fault(9, DUPLICATE),
    ]
    order = [0, 1, -1, -1, 3, 4, 6, 5, 8, 9, 9, 7, *range(10, 20)]
    async with local_exchange([small], exchange="binance", speed=speed, faults=faults) as exchange:
        expected = [damage(BODIES[2], 2) if at < 0 else BODIES[at] for at in order]
        assert await listen(exchange, BOTH) == (expected, 1000)
        assert exchange.faults == {DUPLICATE: 2, MALFORMED: 1, REORDER: 2}


async def _listen_on(exchange: LocalExchange, path: str, into: list[list[bytes]]) -> None:
    """Listen, and after every loss connect again."""
    code = 0
    while code != 1000:
        found, code = await listen(exchange, path)
        into.append(found)
        assert code in (1000, 1006)


@pytest.fixture
def resting(tmp_path: Path) -> Path:
    """Ten trades 20 ms apart, and ten more after a pause."""
    return write_capture(
        tmp_path / "resting", BODIES, [min(at, 10) * 0.02 + (at > 9) * 0.6 for at in range(20)]
    )


@pytest.mark.parametrize("at", [6, 7])
async def test_who_is_disconnected_may_come_back(resting: Path, at: int) -> None:
    heard: list[list[bytes]] = []
    async with local_exchange(
        [resting], exchange="binance", speed=1, faults=[Fault(at, DISCONNECT)]
    ) as exchange:
        await _listen_on(exchange, BOTH, heard)
        assert exchange.faults == {DISCONNECT: 1}
    assert len(heard) == 2
    assert heard[0] == BODIES[:at]
    assert heard[1] == BODIES[-len(heard[1]) :]
    assert 10 <= len(heard[1]) < 20 - at


@pytest.mark.parametrize(("at", "resets"), [(0, False), (18, False), (17, True)])
async def test_a_connection_is_cut_after_what_came_before(small: Path, at: int, resets: bool) -> None:
    """Without a closing frame: at an even index it just ends, at an odd one it is reset."""
    async with local_exchange([small], exchange="binance", faults=[Fault(at, DISCONNECT)]) as exchange:
        received = b""
        async with await trio.open_tcp_stream("127.0.0.1", exchange.port) as stream:
            await stream.send_all(HANDSHAKE.replace(b"/ws/a@trade", BOTH.encode()))
            try:
                async for chunk in stream:
                    received += chunk
                reset = False
            except trio.BrokenResourceError:
                reset = True
        await exchange.done.wait()
        assert exchange.played is not None
        assert (exchange.played.frames, exchange.played.lost) == (at, 20 - at)
    assert reset is resets
    frames = received.partition(b"\r\n\r\n")[2]
    expected = b"".join(map(message_frame, BODIES[:at]))
    assert expected.startswith(frames) if resets else frames == expected


async def test_a_connection_cut_at_the_last_frame_is_not_closed_cleanly(tmp_path: Path) -> None:
    bodies = [trade("a", at) for at in range(10_001)]
    path = write_capture(tmp_path / "capture", bodies)
    async with local_exchange([path], exchange="binance", faults=[Fault(10_000, DISCONNECT)]) as exchange:
        assert await listen(exchange, "/stream?streams=a@trade") == (bodies[:-1], 1006)
        assert await listen(exchange, "/stream?streams=a@trade") == ([], 1000)


A = BODIES[::2]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([Fault(4, DISCONNECT)], (A[:2], 1006)),
        ([Fault(4, SILENCE, 0.3)], (A[:2], 1000)),
        (
            [Fault(0, MALFORMED), Fault(4, REORDER), Fault(10, DUPLICATE)],
            ([damage(A[0], 0), A[1], A[3], A[2], *A[4:6], *A[5:]], 1000),
        ),
    ],
)
async def test_only_who_is_concerned_is_struck(
    small: Path, faults: list[Fault], expected: tuple[list[bytes], int]
) -> None:
    """The client of b's stream hears all, whatever befalls the one of a's."""
    heard: dict[str, tuple[list[bytes], int]] = {}

    async def hear(exchange: LocalExchange, name: str) -> None:
        heard[name] = await listen(exchange, f"/stream?streams={name}@trade")

    async with local_exchange([small], exchange="binance", faults=faults) as exchange:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, exchange, "a")
            nursery.start_soon(hear, exchange, "b")
        assert exchange.faults.total() == len(faults)
    assert heard == {"a": expected, "b": (BODIES[1::2], 1000)}


async def test_after_a_silence_frames_flow_again(resting: Path) -> None:
    """What was played meanwhile is lost to the client."""
    async with local_exchange(
        [resting], exchange="binance", speed=1, faults=[Fault(5, SILENCE, 0.2)]
    ) as exchange:
        assert await listen(exchange, BOTH) == ([*BODIES[:5], *BODIES[10:]], 1000)
        await exchange.done.wait()
        assert exchange.played is not None
        assert (exchange.played.lost, exchange.faults) == (5, {SILENCE: 1})


async def test_faults_that_find_nobody_are_told_as_missed(small: Path) -> None:
    """Only b's stream is subscribed to."""
    kinds = [kind for kind in KINDS if kind not in (RESTART, *REST_KINDS)]
    missed = [Fault(2 * at, kind) for at, kind in enumerate(kinds)]
    faults = [*missed, Fault(19, DUPLICATE)]
    struck: list[Struck] = []
    async with local_exchange(
        [small], exchange="binance", start_after=1, faults=faults, on_fault=struck.append
    ) as exchange:
        heard = await listen(exchange, "/stream?streams=b@trade")
        await exchange.done.wait()
        assert exchange.missed == dict.fromkeys(kinds, 1)
        assert exchange.faults == {DUPLICATE: 1}
    assert heard == ([*BODIES[1::2], BODIES[19]], 1000)
    assert struck == [*(Struck(fault.kind, fault.at, missed=True) for fault in missed), Struck(DUPLICATE, 19)]


async def test_what_cannot_be_done_is_told_as_missed(small: Path) -> None:
    """The last frame of a stream has no successor; nobody is left after a disconnection."""
    faults = [Fault(18, REORDER), Fault(19, DUPLICATE), Fault(19, DISCONNECT)]
    async with local_exchange([small], exchange="binance", faults=faults) as exchange:
        assert (await listen(exchange, BOTH))[1] == 1006
        await exchange.done.wait()
        assert exchange.missed == {REORDER: 1, DUPLICATE: 1}
        assert exchange.faults == {DISCONNECT: 1}


async def test_marks_are_told_in_order(small: Path) -> None:
    async with local_exchange([small], exchange="binance", marks=[19, 0, 7, 7]) as exchange:
        assert (await listen(exchange, BOTH))[0] == BODIES
        assert [mark async for mark in exchange.marks] == [0, 7, 19]
        assert exchange.done.is_set()


async def test_marks_that_nobody_takes_do_no_harm(small: Path) -> None:
    async with local_exchange([small], exchange="binance", marks=range(20)) as exchange:
        exchange.marks.close()
        assert (await listen(exchange, BOTH))[0] == BODIES
        await exchange.done.wait()


async def test_a_script_that_cannot_be_played(small: Path) -> None:
    sentence = "^the duplicate at 20: expected the index of a frame, 0 to 19$"
    with pytest.raises(LocalExchangeError, match=sentence):
        async with local_exchange([small], exchange="binance", faults=[Fault(20, DUPLICATE)]):
            pytest.fail("it runs")


async def test_no_files_are_left(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(process_module.tempfile, "tempdir", str(place))
    async with local_exchange([small], exchange="binance", faults=[Fault(1, DUPLICATE)], marks=[1]):
        assert len(list(place.iterdir())) == 1
    assert not list(place.iterdir())
