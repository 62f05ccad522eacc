"""Whether a tier can be reached, as the sink that carries into it found: whoever asks it need not try."""

import attrs

from actors.storage.errors import StorageError


@attrs.define(eq=False)
class Reach:
    """Known to the sink, asked by the readers of the same store, from any thread.

    A store that hangs would hold every question up for as long as its driver waits. ``opened`` says that it
    was reached since the daemon started.
    """

    opened: bool = False
    reason: str = ""

    def check(self) -> None:
        """Raise StorageError at once where the store was last found to be out of reach."""
        if self.reason:
            raise StorageError(self.reason)

    def works(self) -> None:
        """Note that the store has answered."""
        self.opened, self.reason = True, ""

    def failed(self, reason: str) -> None:
        """Note why the store cannot be asked; "" where it still can."""
        self.reason = reason
