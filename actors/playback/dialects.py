"""The exchanges that the local server passes for."""

from actors.playback.binance import BINANCE, BINANCE_USDM
from actors.playback.bybit import BYBIT, BYBIT_SPOT
from actors.playback.dialect import Dialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (BINANCE, BINANCE_USDM, BYBIT, BYBIT_SPOT)
}
