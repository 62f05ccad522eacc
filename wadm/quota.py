"""What may still be asked of one exchange's REST interface: its weight a minute, and when it said no.

Pure: ``now`` (s) is any clock that only rises.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from collections import deque

import attrs

#: Of what an exchange allows, this much is used: others may ask from the same address.
SHARE = 0.5

#: The seconds over which weight is counted.
WINDOW = 60.0

#: Seconds to leave an exchange alone that refused and named no time, doubled with every refusal in a row.
#: 403 is Bybit's ban of an address (ten minutes), 418 Binance's (two minutes to three days).
REFUSED = {403: 600.0, 418: 120.0, 429: 5.0}
LONGEST = 3_600.0
#: Seconds that an exchange is left alone at most, whatever it asks for: Binance's longest ban.
LONGEST_BAN = 3 * 86_400.0
_MOST_DOUBLINGS = 16


@attrs.define
class Quota:
    """One exchange's; ``limit`` is what it allows a minute, None where it names nothing."""

    limit: int | None
    requests: int = 0
    refused: int = 0
    _spent: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)
    _weight: int = attrs.field(default=0, init=False)
    _shut_until: float | None = attrs.field(default=None, init=False)
    _in_a_row: int = attrs.field(default=0, init=False)

    @property
    def allowance(self) -> int | None:
        """What is used of it a minute at most."""
        return None if self.limit is None else int(self.limit * SHARE)

    def weight(self, now: float) -> int:
        """Return the weight of the last minute's requests."""
        while self._spent and self._spent[0][0] <= now - WINDOW:
            self._weight -= self._spent.popleft()[1]
        return self._weight

    def shut(self, now: float) -> float:
        """Return for how many seconds the exchange is to be left alone, because it refused."""
        return 0.0 if self._shut_until is None else max(0.0, self._shut_until - now)

    def delay(self, now: float, weight: int) -> float:
        """Return in how many seconds there may be room for a request of this weight, 0 where there is.

        One that is heavier than the whole allowance goes when nothing else does.
        """
        allowance, used = self.allowance, self.weight(now)
        if allowance is None or not used or used + weight <= allowance:
            return 0.0
        return self._spent[0][0] + WINDOW - now

    def spend(self, now: float, weight: int) -> None:
        """Count a request that is being made."""
        self.requests += 1
        self._spent.append((now, weight))
        self._weight += weight

    def answered(self) -> None:
        """Note that the exchange answered: what it refuses next it refuses for the first time."""
        self._in_a_row = 0

    def refuse(self, now: float, status: int, after: float | None) -> float:
        """Note a refusal, with the seconds that the exchange wants to be left alone; return how many are."""
        # Requests that were under way together are refused together: that is one refusal.
        if not self.shut(now):
            self._in_a_row = min(self._in_a_row + 1, _MOST_DOUBLINGS)
        self.refused += 1
        seconds = min(REFUSED[status] * 2 ** (self._in_a_row - 1), LONGEST) if after is None else after
        self._shut_until = max(now + seconds, self._shut_until or 0.0)
        return seconds
