"""Which engines the settings name: the one place where an address becomes a store."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from actors.storage.store import Store, Target
from wadm.lifetimes import Lifetimes
from wadm.sections import StorageSettings

if TYPE_CHECKING:
    from actors.storage.cold.archive import Archive

#: The tiers that follow the journal.
WARM, HOT = "warm", "hot"


def open_store(storage: StorageSettings, directory: Path, follows: str, *, read_only: bool = False) -> Store:
    """Return the warm store of the journal named ``follows``; nothing is connected yet.

    Raises StorageError.
    """
    lifetimes = Lifetimes.of(storage)
    if storage.mongodb_url is not None:
        # A driver is imported only where its engine is chosen.
        from actors.storage.mongo.store import MongoStore  # noqa: PLC0415

        return MongoStore(
            storage.mongodb_url,
            follows,
            read_only=read_only,
            lifetimes=lifetimes,
            time_series=storage.mongodb_time_series,
        )
    from actors.storage.engines import embedded_url  # noqa: PLC0415  # likewise
    from actors.storage.sql import SqlStore  # noqa: PLC0415

    url = storage.db_url or embedded_url(directory)
    return SqlStore(url, follows, read_only=read_only, lifetimes=lifetimes)


def open_target(tier: str, storage: StorageSettings, directory: Path, follows: str) -> Target:
    """Return what the sink of a tier carries into; nothing is connected yet. Raises StorageError."""
    if tier == WARM:
        return open_store(storage, directory, follows)
    return dict(_others(storage, follows))[tier]


def open_archive(storage: StorageSettings, directory: Path, *, shared: bool = False) -> "Archive":
    """Return the cold tier; nothing is connected or made yet. Raises StorageError.

    ``shared``: another program, a daemon, may move days there meanwhile.
    """
    from actors.storage.cold.archive import Archive  # noqa: PLC0415  # see above
    from actors.storage.cold.objects import Objects  # noqa: PLC0415

    return Archive(Objects(storage.cold_url or str(directory / "cold")), shared=shared)


def open_targets(
    storage: StorageSettings, directory: Path, follows: str, *, read_only: bool = False
) -> tuple[Store, dict[str, Target]]:
    """Return the warm store, and the other tiers' targets by tier. Raises StorageError."""
    return open_store(storage, directory, follows, read_only=read_only), dict(_others(storage, follows))


def _others(storage: StorageSettings, follows: str) -> Iterator[tuple[str, Target]]:
    """Yield the other tiers' targets. A driver is imported only where its engine is chosen."""
    if storage.redis_url is not None:
        from actors.storage.redis.target import RedisTarget  # noqa: PLC0415  # see above

        yield HOT, RedisTarget(storage.redis_url, follows, Lifetimes.of(storage))
