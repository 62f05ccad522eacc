"""``flow``: who was the aggressor in a window, and by how much; with the CVD since the session's start."""

from collections.abc import Mapping

from wadm.analytics.order_flow import ALGORITHM, order_flow
from wadm.answers.question import Material, Needs, Question, Span, Values
from wadm.instants import iso
from wadm.numbers import plain_or_none, plain_scaled

SESSION = "session"


def _needs(span: Span, _values: Values) -> Needs:
    """Ask for the session that holds the window's last moment, up to the window's end.

    CVD, its high and its low are those of that whole stretch, the session's start (zero) included.
    """
    return Needs(merged={SESSION: (span.session.window(span.end - 1)[0], span.end)})


def _answer(material: Material, _values: Values) -> Mapping[str, object]:
    session = material.merged[SESSION]
    flow = order_flow(material.bar, session)

    def volume(scaled: int) -> str:
        return plain_scaled(scaled, flow.quantity_decimals)

    return {
        "volume": volume(flow.volume),
        "buy_volume": volume(flow.buy_volume),
        "sell_volume": volume(flow.sell_volume),
        "delta": volume(flow.delta),
        "delta_high": volume(flow.delta_high),
        "delta_low": volume(flow.delta_low),
        "delta_path": "exact" if flow.exact_path else "inexact",
        "cvd": volume(flow.cvd),
        "cvd_since": iso(flow.session_start),
        "cvd_high": plain_scaled(session.delta_high, session.quantity_decimals),
        "cvd_low": plain_scaled(session.delta_low, session.quantity_decimals),
        "cvd_path": "exact" if session.exact_path else "inexact",
        "imbalance_ratio": plain_or_none(flow.imbalance_ratio),
        "trades": flow.buy_trades + flow.sell_trades,
        "buy_trades": flow.buy_trades,
        "sell_trades": flow.sell_trades,
    }


QUESTION = Question(
    name="flow",
    path="order-flow",
    title="Order flow: delta with its extremes, CVD, imbalance of taker buying and selling",
    algorithm=ALGORITHM,
    parameters=(),
    answer=_answer,
    needs=_needs,
)
