"""Capture files: what is in them, when another begins, and what is left when the disk or the process ends."""

import errno
import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.playback.capture import CaptureError, read_capture
from actors.recording.capture_files import CaptureFiles, RecordingError, Taken

SECOND = 1_000_000_000
START = 1_795_256_100 * SECOND + 250  # 2026-11-21 10:15:00 UTC


def _trade(number: int) -> bytes:
    return b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":%d}}' % number


def _files(directory: Path, seconds: float = 60, size: int = 1 << 30) -> CaptureFiles:
    return CaptureFiles(directory, "binance_1", seconds, size)


def _taken(*numbers: int, at: int = START) -> Taken:
    return Taken(at, [_trade(number) for number in numbers])


def test_a_file_is_named_by_its_first_frame_and_finished_by_its_closing(tmp_path: Path) -> None:
    files = _files(tmp_path)
    assert files.write([_taken(1), _taken(2, at=START + 5)])
    assert not files.write([_taken(3, at=START + SECOND)])
    assert [file.name for file in tmp_path.iterdir()] == ["binance_1_20261121T101500Z.gz.part"]
    files.close()
    assert files.finished == [tmp_path / "binance_1_20261121T101500Z.gz"]
    assert list(tmp_path.iterdir()) == files.finished
    lines = gzip.decompress(files.finished[0].read_bytes()).splitlines()
    assert lines == [
        b"%d %s" % (at, _trade(number)) for at, number in [(START, 1), (START + 5, 2), (START + SECOND, 3)]
    ]
    assert (files.frames, files.written) == (3, files.finished[0].stat().st_size)


def test_nothing_makes_no_file(tmp_path: Path) -> None:
    files = _files(tmp_path)
    assert not files.write([])
    assert not files.write([Taken(START, [])])
    files.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seconds", "size"), [(60, 1 << 30), (3600, 1)])
def test_another_file_begins_by_age_or_size(tmp_path: Path, seconds: float, size: int) -> None:
    files = _files(tmp_path, seconds, size)
    began = [files.write([_taken(minute, at=START + minute * 60 * SECOND)]) for minute in range(3)]
    files.close()
    assert began == [True] * 3
    assert [file.name for file in files.finished] == [
        f"binance_1_20261121T101{minute}00Z.gz" for minute in (5, 6, 7)
    ]
    assert [frame.body for frame in read_capture(files.finished).frames] == [_trade(n) for n in range(3)]


def test_what_another_recording_wrote_is_left_alone(tmp_path: Path) -> None:
    for _ in range(3):
        files = _files(tmp_path)
        files.write([_taken(1)])
    files.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "binance_1_20261121T101500Z.gz.part",
        "binance_1_20261121T101500Z_2.gz.part",
        "binance_1_20261121T101500Z_3.gz",
    ]


def test_frames_that_no_line_can_hold(tmp_path: Path) -> None:
    files = _files(tmp_path)
    frames = [
        b'{"stream":"btcusdt@trade",\n"data":{}}',  # white space of JSON
        b'{"stream":"btcusdt@trade","data":"a\nb"}',  # no JSON
        b'{"stream":"btcu',
        b"",
        b"hello",
        b'{"a":' * 5_000,
        b'{"result":null,"id":1}',
        _trade(1),
    ]
    files.write([Taken(START, frames)])
    files.close()
    assert (files.frames, files.skipped) == (3, 5)
    assert files.why
    capture = read_capture(files.finished)
    assert [frame.body for frame in capture.frames] == [b'{"stream":"btcusdt@trade", "data":{}}', _trade(1)]


@given(st.lists(st.binary(max_size=30) | st.integers(0, 99).map(_trade), max_size=20))
def test_whatever_comes_the_file_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes]
) -> None:
    files = _files(tmp_path_factory.mktemp("any"))
    files.write([Taken(START, [*frames, _trade(7)])])
    files.close()
    assert files.frames + files.skipped == len(frames) + 1
    assert read_capture(files.finished).frames[-1].body == _trade(7)


def test_a_file_that_grows_can_be_read_at_any_length(tmp_path: Path) -> None:
    files = _files(tmp_path)
    for number in range(20):
        files.write([_taken(number)])
    assert files.part is not None
    whole = files.part.read_bytes()
    cut = tmp_path / "cut.gz.part"
    counts = set()
    for length in range(len(whole) // 3, len(whole) + 1):
        cut.write_bytes(whole[:length])
        capture = read_capture([cut])
        counts.add(len(capture.frames))
        assert [frame.body for frame in capture.frames] == [_trade(n) for n in range(len(capture.frames))]
        assert capture.cut_short == (f"{cut}: has no end, what is whole of it is played",)
    assert max(counts) == 20
    finished = tmp_path / "cut.gz"
    finished.write_bytes(whole[:-5])
    with pytest.raises(CaptureError, match="is cut short"):
        read_capture([finished])


def test_a_full_disk_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(tmp_path)
    files.write([_taken(1)])
    write, calls = os.write, []

    def half_a_write(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half_a_write)
    with pytest.raises(
        RecordingError, match=r"Z\.gz\.part: cannot be written: No space left on device; what"
    ):
        files.write([_taken(2)])
    monkeypatch.undo()
    files.close()
    assert [frame.body for frame in read_capture(files.finished).frames] == [_trade(1)]


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RecordingError, match=r"nowhere/binance_1_\w+\.gz\.part: cannot be made: No such file"
    ):
        _files(tmp_path / "nowhere").write([_taken(1)])
