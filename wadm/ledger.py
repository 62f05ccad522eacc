"""The ledger of trades: what came in is applied, duplicate, rejected, shed or still in flight. Always."""

from collections import Counter

import attrs


@attrs.define
class Account:
    """The trades of one symbol on one exchange, counted as records (an aggregate trade is one record).

    ``hot`` are those among the received that came from the hot tier, at a start without any of them.
    """

    received: int = 0
    hot: int = 0
    applied: int = 0
    duplicate: int = 0
    rejected: Counter[str] = attrs.field(factory=Counter)
    shed: Counter[str] = attrs.field(factory=Counter)

    def take_over(self, trades: int, duplicate: int) -> None:
        """Count trades from the hot tier, some of which came twice: bars are made of the others."""
        self.received += trades
        self.hot += trades
        self.duplicate += duplicate
        self.applied += trades - duplicate

    def settled(self) -> int:
        """Return how many records have met their end."""
        return self.applied + self.duplicate + self.rejected.total() + self.shed.total()

    def add(self, other: "Account") -> None:
        """Add another account's counts to this one."""
        self.received += other.received
        self.hot += other.hot
        self.applied += other.applied
        self.duplicate += other.duplicate
        self.rejected += other.rejected
        self.shed += other.shed


@attrs.define
class Ledger:
    """One account per ``exchange:SYMBOL``, and the frames that could not be read at all, by reason."""

    accounts: dict[str, Account] = attrs.field(factory=dict)
    frames: int = 0
    frames_rejected: Counter[str] = attrs.field(factory=Counter)

    def account(self, key: str) -> Account:
        """Return the account of ``exchange:SYMBOL``, opened if there is none."""
        account = self.accounts.get(key)
        if account is None:
            account = self.accounts[key] = Account()
        return account

    def total(self) -> Account:
        """Return the sum over all accounts."""
        total = Account()
        for account in self.accounts.values():
            total.add(account)
        return total

    def statement(self, in_flight: int) -> dict[str, object]:
        """Return the balance. ``in_flight`` is counted where the trades wait, not derived from the rest."""
        total = self.total()
        return {
            "received": total.received,
            "hot": total.hot,
            "applied": total.applied,
            "duplicate": total.duplicate,
            "rejected": dict(sorted(total.rejected.items())),
            "shed": dict(sorted(total.shed.items())),
            "in_flight": in_flight,
            "balanced": total.received == total.settled() + in_flight,
            "frames": self.frames,
            "frames_rejected": dict(sorted(self.frames_rejected.items())),
        }
