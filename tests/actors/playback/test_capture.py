"""Captures in every form they come in, and the sentences about those that cannot be read."""

import gzip
from pathlib import Path

import pytest

from actors.playback.capture import Capture, CaptureError, Frame, read_capture
from actors.playback.captures import bundled

RECORDED = Path(__file__).parents[2] / "captures" / "hftbacktest"
NS = 1_723_161_253_937_085_768
US = NS // 1000

TRADE = b'{"e":"trade","E":1,"s":"BTCUSDT","t":5,"p":"1.0","q":"2","T":1,"m":true,"M":true}'
WRAPPED = b'{"stream":"btcusdt@trade","data":' + TRADE + b"}"
SNAPSHOT = b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}'


@pytest.fixture
def write(tmp_path: Path):
    def writer(*lines: bytes, name: str = "capture", end: bytes = b"\n") -> Path:
        path = tmp_path / name
        path.write_bytes(b"\n".join(lines) + end)
        return path

    return writer


def _read(*paths: Path) -> Capture:
    return read_capture(paths)


@pytest.mark.parametrize(("time", "at"), [(NS, NS), (US, US * 1000), (10**17, 10**17), (10**14, 10**17)])
def test_times_in_ns_and_us(write, time: int, at: int) -> None:
    capture = _read(write(b"%d %s" % (time, WRAPPED)))
    assert capture.frames == [Frame(at, "btcusdt@trade", WRAPPED)]
    assert capture.first_at == capture.last_at == at


@pytest.mark.parametrize(
    ("frame", "stream", "symbol"),
    [
        (WRAPPED, "btcusdt@trade", "BTCUSDT"),
        (b'{"data":{"a":1},"stream":"ethusdt@depth@0ms"}', "ethusdt@depth@0ms", "ETHUSDT"),
        (b'{"stream":"!ticker@arr","data":[]}', "!ticker@arr", None),
        (TRADE, "btcusdt@trade", "BTCUSDT"),
        (b'{"e":"aggTrade","s":"LTCUSDT"}', "ltcusdt@aggTrade", "LTCUSDT"),
        (b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2}', "btcusdt@depth", "BTCUSDT"),
        (b'{"e":"bookTicker","u":1,"s":"BTCUSDT"}', "btcusdt@bookTicker", "BTCUSDT"),
        (b'{"u":1,"s":"BNBUSDT","b":"1","B":"2","a":"3","A":"4"}', "bnbusdt@bookTicker", "BNBUSDT"),
        (b'{"e":"kline","s":"BTCUSDT","k":{"i":"1m","x":true}}', "btcusdt@kline_1m", "BTCUSDT"),
        (b'{"e":"markPriceUpdate","s":"BTCUSDT"}', "btcusdt@markPrice", "BTCUSDT"),
        (b'{"e":"forceOrder","o":{"s":"BTCUSDT"}}', "btcusdt@forceOrder", "BTCUSDT"),
        (b'{"e":"24hrTicker","s":"BTCUSDT"}', "btcusdt@ticker", "BTCUSDT"),
        (b'{"e":"1hTicker","s":"BTCUSDT"}', "btcusdt@ticker_1h", "BTCUSDT"),
        (b'[{"e":"24hrMiniTicker","s":"BTCUSDT"},{"e":"24hrMiniTicker"}]', "!miniTicker@arr", None),
        (b'{"e":"contractInfo","s":"BTCUSDT"}', "!contractInfo", None),
        (b'{"stream":"!bookTicker","data":{}}', "!bookTicker", None),
        (b'{"stream":"btcusdt@depth20@100ms","data":{}}', "btcusdt@depth20@100ms", "BTCUSDT"),
        (b'{"stream":"btcusdt@markPrice@1s","data":{}}', "btcusdt@markPrice@1s", "BTCUSDT"),
        (b'{"topic":"publicTrade.BTCUSDT","data":[]}', "publicTrade.BTCUSDT", "BTCUSDT"),
        (b'{"topic":"kline.1.BTCUSDT","data":[]}', "kline.1.BTCUSDT", "BTCUSDT"),
        (b'{"topic":"allLiquidation.BTCUSDT","data":[]}', "allLiquidation.BTCUSDT", "BTCUSDT"),
        (b'{"topic":"system.status","data":[]}', "system.status", None),
        (b'{"type":"snapshot","topic":"orderbook.50.BTCUSDT"}', "orderbook.50.BTCUSDT", "BTCUSDT"),
    ],
)
def test_the_stream_of_a_frame(write, frame: bytes, stream: str, symbol: str | None) -> None:
    capture = _read(write(b"%d %s" % (NS, frame)))
    assert capture.frames == [Frame(NS, stream, frame)]
    assert capture.streams == (stream,)
    assert capture.symbols == (() if symbol is None else (symbol,))


def test_plain_and_gzip_are_told_by_content(write, tmp_path: Path) -> None:
    plain = write(b"%d %s" % (NS, WRAPPED), name="named.gz")
    packed = tmp_path / "named.txt"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert _read(plain) == _read(packed)


def test_windows_line_ends(write) -> None:
    assert _read(write(b"%d %s\r" % (NS, WRAPPED))).frames == [Frame(NS, "btcusdt@trade", WRAPPED)]


def test_files_are_merged_by_time_and_keep_their_own_order(write) -> None:
    one = write(*(b'%d {"stream":"a@x","data":%d}' % (NS + at, at) for at in (0, 5, 3, 9)), name="one")
    two = write(*(b'%d {"stream":"b@x","data":%d}' % (US + at, at) for at in (1, 2)), name="two")
    capture = _read(two, one)
    assert [(frame.stream, frame.at - NS) for frame in capture.frames] == [
        ("a@x", 0),
        ("a@x", 5),
        ("a@x", 3),
        ("a@x", 9),
        ("b@x", US * 1000 + 1000 - NS),
        ("b@x", US * 1000 + 2000 - NS),
    ]
    assert capture.streams == ("a@x", "b@x")
    assert (capture.first_at, capture.last_at) == (NS, US * 1000 + 2000)


def test_a_snapshot_is_kept_apart(write) -> None:
    capture = _read(write(b"%d %s" % (NS, SNAPSHOT), b"%d %s" % (NS + 1, WRAPPED)))
    assert [frame.body for frame in capture.frames] == [WRAPPED]
    assert [(snapshot.at, snapshot.symbol, snapshot.body) for snapshot in capture.snapshots] == [
        (NS, "BTCUSDT", SNAPSHOT)
    ]


def test_a_snapshot_among_several_symbols_is_told_by_its_update_ids(write) -> None:
    def depth(symbol: str, first: int, last: int) -> bytes:
        return b'%d {"stream":"%s@depth@100ms","data":{"U":%d,"u":%d}}' % (NS, symbol.encode(), first, last)

    btc = [depth("btcusdt", 5, 6), depth("btcusdt", 7, 9)]
    far, near = depth("ethusdt", 1000, 2000), depth("ethusdt", 1, 20)
    snapshot = b"%d %s" % (NS, SNAPSHOT)
    assert _read(write(*btc, snapshot, far)).snapshots[0].symbol == "BTCUSDT"
    assert _read(write(*btc, snapshot, near)).snapshots[0].symbol is None


def test_answers_and_notices_are_left_out(write) -> None:
    answers = [b'{"result":null,"id":1}', b'{"success":true,"op":"subscribe"}', b'{"code":2,"msg":"no"}']
    notice = b'{"e":"serverShutdown","E":1}'
    answers += [notice, b'{"stream":"serverShutdown","data":%s}' % notice]
    capture = _read(write(*(b"%d %s" % (NS, answer) for answer in answers), b"%d %s" % (NS, WRAPPED)))
    assert len(capture.frames) == 1


def test_a_tab_may_stand_between_time_and_frame(write) -> None:
    assert _read(write(b"%d\t%s" % (NS, WRAPPED))).frames == [Frame(NS, "btcusdt@trade", WRAPPED)]


GOOD = b"%d %s" % (NS, WRAPPED)


@pytest.mark.parametrize(
    ("lines", "number", "why"),
    [
        ([GOOD, b"", GOOD], 2, "the line is blank"),
        ([GOOD, GOOD, b""], 3, "the line is blank"),
        ([b"now " + WRAPPED], 1, "invalid literal for int"),
        ([b"12345 " + WRAPPED], 1, "the time 12345 is neither ns nor µs since 1970"),
        ([b"1723161253937 " + WRAPPED], 1, "is neither ns nor µs"),
        ([b"-1 " + WRAPPED], 1, "is neither ns nor µs"),
        ([b"%d" % NS], 1, "no frame after the time"),
        ([b"%d hello" % NS, GOOD], 1, "malformed"),
        ([GOOD, b"hello"], 2, "invalid literal for int"),
        ([b"%d []" % NS], 1, "an array of no known stream"),
        ([b"%d 7" % NS], 1, "Expected `object`"),
        ([b"%d {}" % NS], 1, "neither a stream nor an event"),
        ([b'%d {"e":"newThing","s":"BTCUSDT"}' % NS], 1, "an event 'newThing' of no known stream"),
        ([b'%d {"e":"trade"}' % NS], 1, "an event without 's'"),
        ([b'%d {"stream":"cut' % NS], 1, "not found"),
    ],
)
def test_a_bad_line(write, lines: list[bytes], number: int, why: str) -> None:
    path = write(*lines)
    with pytest.raises(CaptureError) as error:
        _read(path)
    sentence = str(error.value)
    assert sentence.startswith(f"{path}, line {number}: ")
    assert why in sentence
    assert "expected '<receive time in ns or µs> <frame>'" in sentence
    assert "\n" not in sentence
    assert "cut short" not in sentence


@pytest.mark.parametrize(
    "broken", [b"hello", b'{"stre', b'{"stream":"cut', b"[" * 100_000, b"\xff\xfe", b"7", b"{}", b"[]"]
)
def test_a_frame_that_was_received_broken_is_played_where_it_came(write, broken: bytes) -> None:
    capture = _read(write(GOOD, b"%d %s" % (NS + 1, broken), GOOD))
    assert [frame.stream for frame in capture.frames] == ["btcusdt@trade"] * 3
    assert capture.frames[1] == Frame(NS + 1, "btcusdt@trade", broken)


def test_a_last_line_without_an_end(write) -> None:
    assert len(_read(write(GOOD, GOOD, end=b"")).frames) == 2
    with pytest.raises(
        CaptureError, match=r"line 2: .*it is the last line and has no end: the file is cut short"
    ):
        _read(write(GOOD, GOOD[:-5], end=b""))


def test_gzip_that_is_cut_short_or_damaged(tmp_path: Path) -> None:
    content = gzip.compress(GOOD + b"\n")
    path = tmp_path / "capture.gz"
    path.write_bytes(content[:-9])
    with pytest.raises(CaptureError, match=r"capture.gz: the gzip file is cut short"):
        _read(path)
    path.write_bytes(content[:-8] + b"\x00\x00\x00\x00" + content[-4:])
    with pytest.raises(CaptureError, match=r"capture.gz: the gzip file is damaged"):
        _read(path)


def test_files_that_hold_nothing_or_are_not_there(write, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="empty: no frame in it"):
        _read(write(name="empty", end=b""))
    with pytest.raises(CaptureError, match="bare: no frame in it"):
        _read(write(b"%d %s" % (NS, SNAPSHOT), name="bare"))
    with pytest.raises(CaptureError, match="missing: cannot be read: No such file"):
        _read(tmp_path / "missing")
    with pytest.raises(CaptureError, match="cannot be read: Is a directory"):
        _read(tmp_path)


def test_the_bundled_capture() -> None:
    capture = _read(bundled())
    assert capture.symbols == ("BTCUSDT", "ETHUSDT")
    counts = dict.fromkeys(capture.streams, 0)
    for frame in capture.frames:
        counts[frame.stream] += 1
    assert counts == {
        "btcusdt@trade": 9757,
        "ethusdt@trade": 6106,
        "btcusdt@depth@100ms": 3451,
        "ethusdt@depth@100ms": 3434,
    }
    assert {snapshot.symbol for snapshot in capture.snapshots} == {"BTCUSDT", "ETHUSDT"}
    assert 340e9 < capture.last_at - capture.first_at < 350e9


def test_recorded_futures_of_two_symbols() -> None:
    capture = _read(RECORDED / "usdm_btcusdt_20240718.gz", RECORDED / "usdm_ethusdt_20240718.gz")
    assert len(capture.frames) == 11_413 + 14_002
    assert [snapshot.symbol for snapshot in capture.snapshots] == ["BTCUSDT", "ETHUSDT"]
    times = [frame.at for frame in capture.frames]
    assert times == sorted(times)
