"""Messages that no actor survived, kept for a person to look at, put back or throw away."""

from collections.abc import Sequence
from typing import Any

import attrs

from supervision.mailbox import Mailbox


@attrs.frozen
class DeadLetter:
    """One message, where it came from and what happened to it."""

    id: int  # counts up from 1
    mailbox: str
    message: Any
    cause: str
    at: float  # when it was kept, on the clock of whoever kept it


class DeadLetters:
    """A bounded store of dead letters: when it is full, the oldest makes room and is counted as dropped."""

    def __init__(self, capacity: int = 1000) -> None:
        """Make an empty store; raises ValueError for a capacity below 1."""
        if not capacity >= 1:
            raise ValueError(f"the capacity of the dead letters must be at least 1, not {capacity!r}")
        self.capacity = capacity
        self.dropped = 0
        self._letters: dict[int, tuple[DeadLetter, Mailbox]] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._letters)

    def keep(self, mailbox: Mailbox, message: Any, cause: str, at: float) -> DeadLetter:
        """Keep a message of this mailbox, with what happened to it and when."""
        if len(self._letters) >= self.capacity:
            del self._letters[next(iter(self._letters))]
            self.dropped += 1
        self._last_id += 1
        letter = DeadLetter(self._last_id, mailbox.name, message, cause, at)
        self._letters[letter.id] = (letter, mailbox)
        return letter

    def list(self, mailbox: str | None = None) -> Sequence[DeadLetter]:
        """Return the letters kept, oldest first; those of one mailbox when it is named."""
        return tuple(letter for letter, _ in self._letters.values() if mailbox in (None, letter.mailbox))

    def replay(self, letter_id: int) -> DeadLetter:
        """Put a letter's message back into its mailbox, as a new one, and return the letter.

        Raises LookupError for an unknown id, MailboxFull or MailboxClosed where the mailbox does not take
        it: the letter is then kept.
        """
        letter, mailbox = self._find(letter_id)
        mailbox.put_nowait(letter.message)
        del self._letters[letter_id]
        return letter

    def discard(self, letter_id: int) -> DeadLetter:
        """Forget a letter and return it; raises LookupError for an unknown id."""
        letter, _ = self._find(letter_id)
        del self._letters[letter_id]
        return letter

    def _find(self, letter_id: int) -> tuple[DeadLetter, Mailbox]:
        if letter_id not in self._letters:
            raise LookupError(f"there is no dead letter {letter_id!r}")
        return self._letters[letter_id]
