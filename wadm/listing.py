"""The list of instruments: ticks and quantity steps by exchange and symbol."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from wadm.market import Instrument
from wadm.numbers import NumberError, parse, to_decimal
from wadm.settings import SettingsError


def read_listing(raw: Mapping[str, Any]) -> dict[str, Instrument]:
    """Return instruments by ``exchange:SYMBOL`` from ``{exchange: {SYMBOL: {tick: "…", step: "…"}}}``.

    Raises SettingsError naming what is wrong. Ticks are quoted text: a bare 0.1 would be a binary float.
    """
    found: dict[str, Instrument] = {}
    for exchange, symbols in raw.items():
        if not isinstance(symbols, Mapping):
            raise SettingsError([f"{exchange} is {symbols!r}; expected symbols with their tick and step"])
        for symbol, facts in symbols.items():
            path = f"{exchange}.{symbol}"
            if not isinstance(symbol, str):
                raise SettingsError([f"{path}: the symbol is {symbol!r}; expected text: put it in quotes"])
            if not isinstance(facts, Mapping) or not set(facts) <= {"tick", "step"}:
                raise SettingsError([f'{path} is {facts!r}; expected {{tick: "…", step: "…"}}'])
            tick, step = (_size(f"{path}.{name}", facts.get(name)) for name in ("tick", "step"))
            instrument = Instrument(exchange, symbol.upper(), tick, step)
            found[instrument.key] = instrument
    return found


def _size(path: str, value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        size = to_decimal(*parse(value)) if isinstance(value, str) else Decimal(0)
    except NumberError:
        size = Decimal(0)
    if size <= 0:
        raise SettingsError([f'{path} is {value!r}; expected a positive number in quotes, such as "0.01"'])
    return size
