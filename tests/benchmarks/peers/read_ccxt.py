"""ccxt.pro: ``watch_trades`` in a loop, as its manual shows."""

import asyncio
from decimal import Decimal
from typing import Any

import ccxt.pro
from reading import Stopwatch, told

SYMBOL = "BTC/USDT:USDT"
#: It keeps the last 1,000 trades; where more come between two looks, some would go missing.
CACHED = 100_000


def exchange_of(name: str, url: str) -> Any:
    """Return the exchange at ``url``, its market known beforehand so that nothing is asked for."""
    options = {"tradesLimit": CACHED}
    # The certificate it trusts is the one that SSL_CERT_FILE names, not certifi's.
    config = {"options": options, "enableRateLimit": False, "cafile": None}
    exchange = ccxt.pro.binanceusdm(config) if name == "binance_usdm" else ccxt.pro.bybit(config)
    if name == "binance_usdm":
        exchange.urls["api"]["ws"]["linear"] = f"{url}/ws"
    else:
        exchange.urls["api"]["ws"]["public"]["linear"] = f"{url}/v5/public/linear"
    market = {
        "id": "BTCUSDT", "lowercaseId": "btcusdt", "symbol": SYMBOL, "base": "BTC", "quote": "USDT",
        "settle": "USDT", "baseId": "BTC", "quoteId": "USDT", "settleId": "USDT", "type": "swap",
        "spot": False, "margin": False, "swap": True, "future": False, "option": False, "contract": True,
        "linear": True, "inverse": False, "contractSize": 1.0, "active": True,
        "precision": {"price": 0.1, "amount": 0.001}, "limits": {},
    }  # fmt: skip
    exchange.set_markets([market])
    return exchange


async def main() -> None:
    """Read."""
    arguments = told()
    exchange = exchange_of(arguments.exchange, arguments.url)
    parameters = {"name": "aggTrade"} if arguments.exchange == "binance_usdm" else {}
    watch, count, volume = Stopwatch(), 0, 0.0
    while count < arguments.trades:
        trades = await exchange.watch_trades(SYMBOL, params=dict(parameters))
        if not count:
            watch.start()
        for trade in trades[: arguments.trades - count]:
            count += 1
            volume += trade["amount"]
    watch.stop(count, round(Decimal(volume), 3))


if __name__ == "__main__":
    asyncio.run(main())
