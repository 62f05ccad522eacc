"""The exchanges that the local server passes for."""

from actors.playback.binance import BINANCE, BINANCE_USDM
from actors.playback.dialect import Dialect

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (BINANCE, BINANCE_USDM)}
