"""unicorn-binance-websocket-api: its manager with an asyncio queue, as its manual shows, and dicts."""

import asyncio
from decimal import Decimal

from reading import Stopwatch, told
from unicorn_binance_websocket_api import BinanceWebSocketApiManager


async def main() -> None:
    """Read."""
    arguments = told()
    watch = Stopwatch()

    async def process(stream_id: str) -> None:
        count, volume = 0, Decimal(0)
        while count < arguments.trades:
            message = await manager.get_stream_data_from_asyncio_queue(stream_id)
            manager.asyncio_queue_task_done(stream_id)
            if "data" not in message:
                continue
            if not count:
                watch.start()
            count += 1
            volume += Decimal(message["data"]["q"])
        watch.stop(count, volume)

    manager = BinanceWebSocketApiManager(
        exchange="binance.com-futures",
        websocket_base_uri=f"{arguments.url}/",
        output_default="dict",
        warn_on_update=False,  # it would ask the internet
    )
    manager.create_stream(["aggTrade"], ["btcusdt"], process_asyncio_queue=process)
    while not manager.is_manager_stopping():  # noqa: ASYNC110  # as its manual shows
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
