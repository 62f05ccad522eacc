"""A daemon's storage, to be killed: ``worker_victim.py DIRECTORY``. It says which process stores for it."""

import sys
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from spine import spine, until

from wadm.sections import StorageSettings
from wadm.settings import Settings


async def _store(directory: Path) -> None:
    async with spine(directory, settings=Settings(storage=StorageSettings(processes="all"))) as running:
        warm = running.runtime.warm
        await until(lambda: warm.progress.caught_up)
        print(warm.worker.pid, flush=True)  # noqa: T201
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(_store, Path(sys.argv[1]))
