"""The keys and channels of the hot tier in Redis, for programs in any language.

Values and notices are MessagePack maps (https://msgpack.org). Times are µs since 1970-01-01 UTC; a minute is
named by its start. Numbers are exact: text in plain notation, or integers with their ``…_decimals``. Every
key expires; lifetimes count from the last write to it.

============================================  ======  ==================================================
key                                           type    what it holds
============================================  ======  ==================================================
``wadm:schema``                               string  ``SCHEMA``, as text
``wadm:cursor:{journal}``                     string  the last entry stored of a journal, as text
``wadm:symbols``                              zset    ``exchange:SYMBOL`` by when something was last stored
``wadm:minutes:{exchange}:{symbol}``          zset    the minutes with raw trades by when they were stored
``wadm:trades:{exchange}:{symbol}:{minute}``  zset    that minute's raw trades, in runs, by when received
``wadm:gaps:{exchange}:{symbol}``             zset    gaps in the trades, by when they were stored
``wadm:book:{exchange}:{symbol}``             string  the newest order book, at most 50 levels a side
``wadm:profile:{exchange}:{symbol}:{tf}``     string  the volume profile of the last window that has ended
``wadm:order_flow:{exchange}:{symbol}:{tf}``  string  the order flow of the last window that has ended
============================================  ======  ==================================================

Minutes, trades, gaps and the book live as long as raw trades (60 minutes by default), the rest as long as
indicators (30 days by default). A minute in the index whose key is missing before its time was evicted:
Redis does that where it has a ``maxmemory`` and a ``maxmemory-policy`` other than ``noeviction``.

A run of trades, two of them here, columns of one length. A quantity is negative where the taker sold; a
count is how many trades an aggregate stands for; ids are integers or text. A price or quantity that needs
more than 64 bits is that integer as text. The same trade may be in two runs: its id says so::

    {"id_kind": "agg_trade", "price_decimals": 1, "quantity_decimals": 3,
     "received_at": 1723161301000007, "market_time": 1723161301000003,
     "ids": [1000, 1001], "times": [1723161301000000, 1723161301001000],
     "prices": [610000, 610001], "quantities": [5, -10], "counts": [1, 2]}

A gap; ``first`` and ``last`` are ids where ``id_kind`` says what they count, times where it is null. One
whose ``state`` is ``filled`` or ``unfillable`` takes its range out of one that is ``open``::

    {"id_kind": "agg_trade", "first": 10, "last": 19, "at": 1723161300000000, "state": "open", "reason": ""}

A book, best price first::

    {"at": 1723161300500000, "sequence": 7, "bids": [["61000", "0.5"]], "asks": [["61000.1", "2"]]}

A profile. A row is its lower edge, taker-bought and taker-sold volume, and how many trades each::

    {"start": 1723161300000000, "end": 1723161360000000, "revision": 0, "partial": false,
     "row_size": "0.5", "poc": "61000", "vah": "61000", "val": "61000", "value_area": "0.7",
     "value_area_volume": "0.02", "method": "pair", "rows": [["61000", "0.01", "0.01", 4, 2]]}

An order flow; ``exact_path`` false says that delta's extremes may be off by trades that came late.
``large_trades`` and ``absorption_events`` are null where they were not counted::

    {"start": 1723161300000000, "end": 1723161360000000, "revision": 0, "partial": false,
     "buy_volume": "0.01", "sell_volume": "0.01", "buy_trades": 4, "sell_trades": 2,
     "delta": "0", "delta_high": "0.005", "delta_low": "-0.005", "cvd": "1.5",
     "session_start": 1723075200000000, "imbalance_ratio": "1", "exact_path": true,
     "large_trades": null, "absorption_events": null}

Notices are published with what they tell of, in one transaction, on ``wadm:notices:{what}:{exchange}:
{symbol}``, ``what`` being ``trades``, ``book``, ``profile`` or ``order_flow``. ``seq`` is the journal's
entry up to which all is stored, ``time`` the clock of the machine that stored it::

    trades                {"seq": 812, "time": 1723161301000100, "count": 2,
                           "first": 1723161301000000, "last": 1723161301001000}
    book                  {"seq": 812, "time": 1723161301000100, "at": 1723161300500000}
    profile, order_flow   {"seq": 812, "time": 1723161301000100, "timeframe": "1m",
                           "start": 1723161300000000, "end": 1723161360000000, "revision": 0}
"""

#: The version of all this.
SCHEMA = 1

PREFIX = "wadm:"
SCHEMA_KEY = f"{PREFIX}schema"
SYMBOLS = f"{PREFIX}symbols"


def cursor(journal: str) -> str:
    """Return the key of the place reached in a journal."""
    return f"{PREFIX}cursor:{journal}"


def minutes(exchange: str, symbol: str) -> str:
    """Return the key of the index of minutes with raw trades."""
    return f"{PREFIX}minutes:{exchange}:{symbol}"


def trades(exchange: str, symbol: str, minute: int) -> str:
    """Return the key of a minute's raw trades; ``minute`` is its start (µs)."""
    return f"{PREFIX}trades:{exchange}:{symbol}:{minute}"


def gaps(exchange: str, symbol: str) -> str:
    """Return the key of the gaps."""
    return f"{PREFIX}gaps:{exchange}:{symbol}"


def book(exchange: str, symbol: str) -> str:
    """Return the key of the newest order book."""
    return f"{PREFIX}book:{exchange}:{symbol}"


def window(what: str, exchange: str, symbol: str, timeframe: str) -> str:
    """Return the key of the last window's ``profile`` or ``order_flow``."""
    return f"{PREFIX}{what}:{exchange}:{symbol}:{timeframe}"


def notices(what: str, exchange: str, symbol: str) -> str:
    """Return the channel on which changes are told: of ``trades``, ``book``, ``profile``, ``order_flow``."""
    return f"{PREFIX}notices:{what}:{exchange}:{symbol}"
