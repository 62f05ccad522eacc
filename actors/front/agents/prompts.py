"""Prompts: how an agent may go about a question, with the tools that are here."""

from fastmcp.prompts import Prompt

_HONESTY = (
    "Say what each answer's coverage says: whether it is warming or provisional, and its gaps. Give prices"
    " and volumes as they were answered; do not round or guess what was not."
)


def read_session(exchange: str, symbol: str, session: str = "00:00@UTC") -> str:
    """Read a session the way an auction trader does: balance or trend, and who is in control."""
    asked = f'exchange="{exchange}", symbol="{symbol}"'
    return (
        f"Read the current session of {symbol} on {exchange} like an auction trader.\n"
        f'1. get_session_analysis({asked}, timeframe="session", session="{session}"): range against initial'
        " balance, close against the value area, POC migration.\n"
        f'2. get_volume_profile({asked}, timeframe="session", row_size="auto"): the shape (one bulge is'
        " balance, a thin tail is rejection, two bulges are a double distribution).\n"
        f'3. get_order_flow({asked}, timeframe="session"): do delta and CVD agree with the direction?\n'
        f"4. get_liquidity_zones({asked}): the references above and below.\n"
        "Conclude in five lines: balance or imbalance; who is in control and since when; where value is"
        " against the close; the level that would prove the reading wrong; what the next hour has to show.\n"
        f"{_HONESTY}"
    )


def find_value_moving(exchange: str, symbol: str, timeframe: str = "1d") -> str:
    """Find where value is moving: the value area's way, and whether volume and delta go along."""
    asked = f'exchange="{exchange}", symbol="{symbol}"'
    return (
        f"Find where value of {symbol} on {exchange} is moving, over {timeframe}.\n"
        f'1. get_measure({asked}, question="developing", timeframe="{timeframe}"): how POC, VAH and VAL'
        " developed; is value higher, lower, overlapping or unchanged?\n"
        f'2. get_candles({asked}, timeframe="{timeframe}", bar="1h"): does volume rise with the move?\n'
        f'3. get_measure({asked}, question="cvd", timeframe="{timeframe}"): do takers push it, or does price'
        " move against them?\n"
        f'4. get_measure({asked}, question="naked-pocs", timeframe="{timeframe}"): which POCs of before are'
        " still untested on the way?\n"
        f'5. compare_exchanges(symbol="{symbol}"): do the other exchanges agree?\n'
        "Conclude: the direction of value, accepted or only probed, the evidence for and against, and the"
        f" price at which the answer changes.\n{_HONESTY}"
    )


def create_prompts() -> list[Prompt]:
    """Return the prompts."""
    return [
        Prompt.from_function(
            read_session, title="Read a session like an auction trader",
            description="Balance or trend, who is in control, and what would prove it wrong.",
        ),
        Prompt.from_function(
            find_value_moving, title="Find where value is moving",
            description="Whether value moves, who moves it, and whether it is accepted.",
        ),
    ]  # fmt: skip
