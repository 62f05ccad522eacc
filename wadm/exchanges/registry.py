"""The exchanges by name. To add one: a file beside this one, and a line here."""

from wadm.exchanges import binance, binance_usdm, bybit
from wadm.exchanges.base import Exchange

EXCHANGES: dict[str, Exchange] = {
    exchange.name: exchange
    for exchange in (
        binance.EXCHANGE,
        binance_usdm.EXCHANGE,
        bybit.LINEAR,
        bybit.SPOT,
    )
}


class UnknownExchangeError(LookupError):
    """No exchange of that name; the message names those there are."""


def find(name: str) -> Exchange:
    """Return the exchange called ``name``; raises UnknownExchangeError."""
    try:
        return EXCHANGES[name]
    except KeyError:
        known = ", ".join(sorted(EXCHANGES))
        raise UnknownExchangeError(f"unknown exchange {name!r}: the known ones are {known}") from None
