"""An invented market for benchmarks: how busy each symbol is, its trades, and an exchange that sends them.

Activity is Zipf's: the r-th busiest of all symbols has an r-th of the trades of the first, 5 million a day,
which is what BTCUSDT has on an ordinary day of Binance's spot market, as its daily files of trades at
data.binance.vision show. Of 1,000 symbols the last has 5,000 a day, and all together 37 million: 433 a
second. (Real markets fall off more steeply behind the first hundred: this is on the heavy side.)

Prices go as in recorded trades of BTCUSDT and ETHUSDT (``tests/captures/hftbacktest``): two thirds of the
trades are at the price before, the others some ticks beside it, 4 in the mean. A busy minute of 4,700 trades
there meets 740 prices, a calm one of 1,750 meets 220.
"""

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

import attrs
import trio
import trio_websocket

from wadm.market import SECOND, IdKind, Trades

#: Trades a day of the busiest symbol.
BUSIEST = 5_000_000

#: How the trades of a day spread over its minutes: the standard deviation of their logarithm.
UNEVEN = 0.7

#: How often a trade is at the price before, and how far (ticks) another is from it in the mean.
SAME, APART = 0.64, 4.0

#: Trades of each symbol that the exchange still gives by REST.
KEPT = 50_000

#: Levels on each side of a book, and of those how many an update changes.
LEVELS, CHANGED = 200, 6


def names(count: int) -> list[str]:
    """Return symbols, the busiest first."""
    return [f"S{number:04}USDT" for number in range(1, count + 1)]


def shares(count: int) -> list[float]:
    """Return what part of all trades each symbol has, the busiest first."""
    weights = [1 / rank for rank in range(1, count + 1)]
    return [weight / sum(weights) for weight in weights]


@attrs.define
class Walk:
    """One symbol's prices, in ticks, and quantities, in steps: endless, the same for the same ``seed``."""

    seed: int
    price: int = attrs.field(init=False)
    _dice: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self.price = 10 ** self._dice.randint(4, 6) * self._dice.randint(1, 9)

    def step(self) -> tuple[int, int]:
        """Return the next trade's price, and its quantity: negative where the taker sold."""
        dice = self._dice
        if dice.random() >= SAME:
            apart = 1 + int(math.log(dice.random() or 0.5) / math.log(1 - 1 / APART))
            self.price = max(1_000, self.price + dice.choice((-apart, apart)))
        quantity = 1 + int(dice.lognormvariate(3, 2))
        return self.price, quantity if dice.random() < 0.5 else -quantity

    def trades(self, exchange: str, symbol: str, first_id: int, times: Sequence[int]) -> Trades:
        """Return the next trades, one at each of these times (µs)."""
        prices, quantities = zip(*(self.step() for _ in times), strict=True)
        count = len(times)
        ids = range(first_id, first_id + count)
        return Trades(
            exchange, symbol, IdKind.TRADE, 2, 3, list(ids), list(times), prices, quantities, [1] * count
        )


def per_minute(share: float, total: float, dice: random.Random) -> Iterator[int]:
    """Yield how many trades a symbol has in each minute, of ``total`` trades a day of all symbols."""
    mean = share * total / 1_440
    while True:
        yield int(mean * dice.lognormvariate(-(UNEVEN**2) / 2, UNEVEN) + dice.random())


# --- the exchange ---


@attrs.define(eq=False)
class Symbol:
    """One symbol at the exchange: its trades so far, and its order book."""

    name: str
    share: float
    walk: Walk
    trade_id: int = 0
    owed: float = 0.0
    update_id: int = 1
    book: tuple[dict[int, int], dict[int, int]] = attrs.field(factory=lambda: ({}, {}))
    kept: deque[dict[str, object]] = attrs.field(factory=lambda: deque(maxlen=KEPT))

    def trade(self, at: int) -> str:
        """Return the next trade's frame; ``at`` in ms."""
        self.trade_id += 1
        price, quantity = self.walk.step()
        text, size, maker = f"{price / 100:.2f}", f"{abs(quantity) / 1000:.3f}", quantity < 0
        self.kept.append({"id": self.trade_id, "price": text, "qty": size, "time": at, "isBuyerMaker": maker})
        return (
            f'{{"stream":"{self.name.lower()}@trade","data":{{"e":"trade","E":{at},"s":"{self.name}",'
            f'"t":{self.trade_id},"p":"{text}","q":"{size}","T":{at},"m":{str(maker).lower()},"M":true}}}}'
        )

    def update(self, at: int, dice: random.Random) -> str:
        """Return the next update of the book."""
        first, sides = self.update_id + 1, []
        for side, sign in zip(self.book, (-1, 1), strict=True):
            for price in [price for price in side if (price - self.walk.price) * sign <= 0]:
                side[price] = 0  # the market has gone through it
            for _ in range(CHANGED):
                side[self.walk.price + sign * dice.randint(1, LEVELS)] = dice.randint(0, 999)
            for price in [price for price in side if abs(price - self.walk.price) > LEVELS]:
                side[price] = 0
            sides.append(_levels(side))
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        self.update_id = first + CHANGED
        return (
            f'{{"stream":"{self.name.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{at},'
            f'"s":"{self.name}","U":{first},"u":{self.update_id},"b":{sides[0]},"a":{sides[1]}}}}}'
        )


def _levels(side: dict[int, int]) -> str:
    return json.dumps([[f"{price / 100:.2f}", f"{size / 1000:.3f}"] for price, size in side.items()])


@attrs.define(eq=False)
class Exchange:
    """Sends ``rate`` trades a second of all symbols; its own time runs ``speed`` times as fast as the clock.

    Of Binance's spot kind: combined streams ``@trade`` and ``@depth@100ms``; REST gives missed trades by id,
    books, the list of symbols and the time.
    """

    symbols: dict[str, Symbol]
    rate: float
    speed: float
    start: int
    began: float = attrs.field(factory=trio.current_time)
    clients: dict[trio_websocket.WebSocketConnection, set[str]] = attrs.field(factory=dict)
    dice: random.Random = attrs.field(factory=lambda: random.Random(8))

    @classmethod
    def of(cls, count: int, rate: float, speed: float, start: int) -> "Exchange":
        """Return an exchange of so many symbols, whose time begins at ``start`` (µs)."""
        found = zip(names(count), shares(count), strict=True)
        symbols = {name: Symbol(name, share, Walk(place)) for place, (name, share) in enumerate(found)}
        return cls(symbols, rate, speed, start)

    def now(self) -> int:
        """Return the exchange's time (ms)."""
        return int(self.start + (trio.current_time() - self.began) * self.speed * SECOND) // 1_000

    async def run(self, tick: float = 0.02) -> None:
        """Trade."""
        due = trio.current_time()
        for number in itertools.count():
            for one in self.symbols.values():
                one.owed += one.share * self.rate * tick * self.dice.expovariate(1)
                many, at = int(one.owed), self.now()
                one.owed -= many
                await self._tell(f"{one.name.lower()}@trade", [one.trade(at) for _ in range(many)])
                if number % 5 == 0:
                    stream = f"{one.name.lower()}@depth@100ms"
                    await self._tell(stream, [one.update(at, self.dice)])
            due += tick
            await trio.sleep_until(due)

    async def _tell(self, stream: str, frames: Sequence[str]) -> None:
        for client, streams in list(self.clients.items()):
            if stream in streams:
                try:
                    for frame in frames:
                        await client.send_message(frame)
                except trio_websocket.ConnectionClosed:
                    self.clients.pop(client, None)

    async def serve(self, request: trio_websocket.WebSocketRequest) -> None:
        """Be the far side of one WebSocket."""
        client = await request.accept()
        streams = self.clients[client] = set()
        try:
            while True:
                asked = json.loads(await client.get_message())
                change = streams.update if asked["method"] == "SUBSCRIBE" else streams.difference_update
                change(asked["params"])
                await client.send_message(json.dumps({"result": None, "id": asked["id"]}))
        except trio_websocket.ConnectionClosed:
            pass
        finally:
            self.clients.pop(client, None)

    async def answer(self, stream: trio.SocketStream) -> None:
        """Answer one REST request."""
        head = b""
        async with stream:
            while b"\r\n\r\n" not in head:
                part = await stream.receive_some()
                if not part:
                    return
                head += part
            path, _, query = head.split(b" ", 2)[1].decode().partition("?")
            body = json.dumps(self._found(path, dict(parse_qsl(query)))).encode()
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            await stream.send_all(answer.encode() + body)

    def _found(self, path: str, query: dict[str, str]) -> object:
        match path.rpartition("/")[2]:
            case "historicalTrades":
                kept = self.symbols[query["symbol"]].kept
                skipped = max(0, int(query["fromId"]) - int(str(kept[0]["id"]))) if kept else 0
                return list(itertools.islice(kept, skipped, skipped + int(query["limit"])))
            case "depth":
                one = self.symbols[query["symbol"]]
                bids, asks = (json.loads(_levels(side)) for side in one.book)
                return {"lastUpdateId": one.update_id, "bids": bids, "asks": asks}
            case "exchangeInfo":
                return {"symbols": [_listed(name) for name in self.symbols]}
            case "time":
                return {"serverTime": self.now()}
            case _:
                return []


def _listed(name: str) -> dict[str, object]:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001"},
    ]
    assets = {"baseAsset": name[:-4], "quoteAsset": "USDT"}
    return {"symbol": name, "status": "TRADING", **assets, "filters": filters}


async def _run(arguments: argparse.Namespace) -> None:
    start = time.time_ns() // 1_000 - int(arguments.since * SECOND)
    exchange = Exchange.of(arguments.symbols, arguments.rate, arguments.speed, start)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, exchange.serve, "127.0.0.1", 0, None)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, exchange.answer, [listener])
        ports = server.port, listener.socket.getsockname()[1]
        print(json.dumps([f"ws://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"]), flush=True)
        nursery.start_soon(exchange.run)
        # Whoever started it lets go of its standard input when it is no longer needed, by dying too.
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


def main() -> int:
    """Be an exchange in a process of its own, until standard input ends; print where it is."""
    parser = argparse.ArgumentParser(prog="invented", description=main.__doc__)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--rate", type=float, default=500.0, help="trades a second, of all symbols")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast its time runs")
    parser.add_argument("--since", type=float, default=0.0, help="how long ago (s) its time begins")
    trio.run(_run, parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
