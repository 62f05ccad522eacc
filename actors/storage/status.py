"""What every tier has, how far it is, and what is wrong, each problem a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from actors.storage.cold.archive import Archive
from actors.storage.errors import StorageError
from actors.storage.journal_view import FILE_NAME, JournalView
from actors.storage.opening import open_archive, open_targets
from actors.storage.store import Store, Target, named
from wadm.instants import iso
from wadm.market import DAY
from wadm.sections import StorageSettings

T = TypeVar("T")

Report = dict[str, Any]


@attrs.define
class Look:
    """A look at one data directory; ``problems`` gathers what is wrong."""

    storage: StorageSettings
    directory: Path
    problems: list[str] = attrs.field(factory=list)

    def report(self) -> Report:
        """Return everything. It reads only, and never raises StorageError."""
        found: Report = {"data_dir": str(self.directory), "journal": None, "tiers": {}}
        if not (self.directory / FILE_NAME).is_file():
            self.problems.append(
                f"{self.directory} holds no data of wadm (no {FILE_NAME}): "
                "`wadm run` or `wadm storage init` makes it"
            )
        else:
            view = JournalView(self.directory)
            try:
                self._tried(lambda: self._look(view, found))
            finally:
                view.close()
        found["lifetimes"] = {
            "raw_minutes": self.storage.raw_retention_minutes,
            "bars_days": self.storage.bars_days,
            "indicators_days": self.storage.indicators_days,
        }
        return found | {"problems": self.problems}

    def _tried(self, read: Callable[[], T]) -> T | None:
        """Return what ``read`` does; None where it cannot, which is a problem."""
        try:
            return read()
        except StorageError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def _look(self, view: JournalView, found: Report) -> None:
        found["journal"] = self._journal(view)
        store, others = open_targets(self.storage, self.directory, view.identity(), read_only=True)
        last, losses = view.last_seq(), view.losses()
        try:
            found["tiers"]["warm"] = self._store(store, last)
            for tier, target in others.items():
                found["tiers"][tier] = _about(target) | self._progress(target, last)
        finally:
            for target in (store, *others.values()):
                target.close()
        found["tiers"]["cold"] = self._cold(open_archive(self.storage, self.directory))
        found["losses"] = [
            attrs.asdict(one) | {"first_at": _iso(one.first_at), "last_at": _iso(one.last_at)}
            for one in losses
        ]
        for one in losses:
            since = "" if one.first_at is None else f" of {iso(one.first_at)} and later"
            self.problems.append(
                f"{one.target} never got the entries {one.first_seq} to {one.last_seq}{since}: "
                "the journal had to let them go first"
            )

    def _journal(self, view: JournalView) -> Report:
        files = (view.path, view.path.with_name(f"{view.path.name}-wal"))
        first, last = view.first_seq(), view.last_seq()
        return {
            "path": str(view.path),
            "bytes": sum(one.stat().st_size for one in files if one.exists()),
            "quota_mb": self.storage.quota_mb,
            "first_seq": first if first <= last else None,
            "last_seq": last,
            "oldest": _iso(view.written_at(first)) if first <= last else None,
            "entries": view.holds(),
            "symbols": [
                {
                    "exchange": exchange,
                    "symbol": symbol,
                    "trades": _span(view.trades_extent(exchange, symbol)),
                    "bars": _span(view.bar_extent(exchange, symbol)),
                }
                for exchange, symbol in view.symbols()
            ],
        }

    def _progress(self, target: Target, last: int) -> Report:
        """Say how far a target has come."""
        cursor = self._tried(target.cursor)
        if cursor is None:
            return {"reachable": False, "cursor": None, "lag": None}
        if cursor > last:
            self.problems.append(
                f"{named(target.name, target.address)} is ahead of the journal ({cursor} > {last}): "
                "the journal was put back to an older state; the next start goes on behind it"
            )
        return {"reachable": True, "cursor": cursor, "lag": max(0, last - cursor)}

    def _store(self, store: Store, last: int) -> Report:
        report = _about(store) | {"reachable": True, "schema": None, "cursor": 0, "lag": last, "symbols": []}
        versions = self._tried(store.schema)
        if versions is None:
            return report | {"reachable": False, "cursor": None, "lag": None}
        found, expected = versions
        report["schema"] = {"found": found, "expected": expected}
        if found is None:
            return report
        if found != expected:
            self.problems.append(
                f"{store.name} at {store.address} has schema {found}, this version reads {expected}: "
                + ("run `wadm storage migrate`" if found < expected else "upgrade, or use another database")
            )
            return report | {"cursor": None, "lag": None}
        symbols = self._tried(
            lambda: [
                {"exchange": exchange, "symbol": symbol, "bars": _span(store.extent(exchange, symbol))}
                for exchange, symbol in store.symbols()
            ]
        )
        return report | self._progress(store, last) | {"symbols": symbols or []}

    def _cold(self, archive: Archive) -> Report:
        names = self._tried(archive.catalogue.symbols)
        report: Report = {"engine": "parquet", "address": archive.objects.address}
        if names is None:
            return report | {"reachable": False, "symbols": []}
        symbols = []
        for exchange, symbol in names:
            listed = archive.catalogue.of(exchange, symbol)
            if listed.problem is not None:
                self.problems.append(listed.problem)
            days = listed.days
            span = _span((days[0], days[-1] + DAY)) if days else None
            symbols.append({"exchange": exchange, "symbol": symbol, "days": len(days), "bars": span})
        return report | {"reachable": True, "symbols": symbols}


def _about(target: Target) -> Report:
    return {"engine": target.name, "address": target.address, "keeps": sorted(map(str, target.keeps))}


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)


def _span(extent: tuple[int, int] | None) -> list[str] | None:
    return None if extent is None else [iso(extent[0]), iso(extent[1])]
