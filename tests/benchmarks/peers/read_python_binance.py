"""python-binance: its socket manager's multiplex socket, received from in a loop, as its manual shows."""

import asyncio
from decimal import Decimal

from binance import AsyncClient, BinanceSocketManager
from reading import STREAM, Stopwatch, told


async def main() -> None:
    """Read."""
    arguments = told()
    client = AsyncClient()  # its ``create`` would ask the exchange for the time
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = f"{arguments.url}/"
    watch, count, volume = Stopwatch(), 0, Decimal(0)
    async with manager.futures_multiplex_socket([STREAM]) as socket:
        while count < arguments.trades:
            message = await socket.recv()
            if not count:
                watch.start()
            if message.get("e") == "error":
                raise SystemExit(f"python-binance: {message}")
            count += 1
            volume += Decimal(message["data"]["q"])
        watch.stop(count, volume)


if __name__ == "__main__":
    asyncio.run(main())
