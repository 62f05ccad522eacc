"""What is recorded of a window: what its questions answer where nothing else is asked for.

Of a profile it is the answer with automatic rows: at the tick, a day of a busy symbol has tens of thousands.
"""

from collections.abc import Iterable, Sequence

from wadm.analytics import order_flow
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile
from wadm.answers import profile, signals, steps
from wadm.answers.parameters import AUTO, METHOD, VALUE_AREA
from wadm.bar import Bar
from wadm.market import MINUTE, Instrument
from wadm.tallies import Tally
from wadm.timeframes import TIMEFRAMES

#: Bars in which absorptions are looked for, unless the window is shorter: it is then a bar itself.
STEP: int = TIMEFRAMES[steps.BAR.default]


def profile_of(instrument: Instrument, bar: Bar) -> Profile:
    """Return the profile of a window, as ``profile`` answers it with ``row_size=auto``."""
    values = {"row_size": AUTO, "value_area": VALUE_AREA.default, "method": METHOD.default}
    return profile.of(bar, instrument, values)


def order_flow_of(bar: Bar, session_start: int, session: Tally) -> OrderFlow:
    """Return the order flow of a window, ``session`` being the sums from the session's start to its end."""
    summed = Bar(session_start, bar.end, quantity_decimals=session.quantity_decimals, delta=session.delta)
    return order_flow.order_flow(bar, summed)


def cut(minutes: Iterable[Bar], length: int) -> list[Bar]:
    """Return the minutes of a window of ``length`` (µs) as the bars in which absorptions are looked for."""
    if length == MINUTE:
        return [one for one in minutes if one.rows]  # as they are: nothing is to be merged
    return steps.cut(list(minutes), min(length, STEP))


def absorptions(instrument: Instrument, bars: Sequence[Bar]) -> int:
    """Return how many absorptions ``signals`` finds in the bars of a window."""
    return signals.count_absorptions(instrument, bars)
