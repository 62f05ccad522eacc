"""Questions answered from a data directory alone, whether or not a daemon runs on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from actors.configuration import load_listing
from actors.queries import make_profile
from actors.storage.reader import DataReader
from wadm import views
from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.market import Instrument
from wadm.questions import Unavailable, Window, read_window
from wadm.timeframes import window as window_of


@attrs.frozen
class StoredProfile:
    """A question about a profile, and its answer."""

    window: Window
    start: int
    end: int
    bar: Bar
    profile: Profile


def instruments(reader: DataReader) -> dict[str, Instrument]:
    """Return the instruments of which there is data, by ``exchange:SYMBOL``."""
    listing = load_listing()
    found = (
        listing.get(f"{exchange}:{symbol}") or Instrument(exchange, symbol)
        for exchange, symbol in reader.symbols()
    )
    return {instrument.key: instrument for instrument in found}


def profile(reader: DataReader, given: Mapping[str, str]) -> StoredProfile:
    """Answer for a profile; over everything stored where no window is named. Raises QuestionError."""
    window = read_window(given, instruments(reader), everything=True)
    start, end = _span(reader, window)
    bar = reader.merged(window.instrument.exchange, window.instrument.symbol, start, end)
    return StoredProfile(window, start, end, bar, make_profile(window, bar))


def _span(reader: DataReader, window: Window) -> tuple[int, int]:
    """Return the span that is meant: as given, the window that holds the newest trade, or everything."""
    if window.start is not None and window.end is not None:
        return window.start, window.end
    one = window.instrument
    known = reader.span(one.exchange, one.symbol)
    if known is None:
        raise Unavailable(one.key, "no trade of it is stored")
    return known if window.timeframe is None else window_of(window.timeframe, known[1] - 1)


def summaries(directory: Path, row_size: str | None) -> dict[str, Any]:
    """Return what a replay prints of its symbols, read from the data directory."""
    reader = DataReader.open(directory)
    try:
        found = {}
        for key, one in sorted(instruments(reader).items()):
            asked = {} if row_size is None else {"row_size": row_size}
            answer = profile(reader, {"exchange": one.exchange, "symbol": one.symbol, **asked})
            found[key] = views.summary(answer.bar, answer.profile)
        return found
    finally:
        reader.close()
