"""A question put into a mailbox, with one deadline for its whole way there and back."""

from typing import Any

import trio

from supervision.buffer import Letter, MailboxClosed, MailboxFull
from supervision.mailbox import Mailbox


class AskTimeout(Exception):
    """No answer came within the deadline. The request may have been handled all the same."""


class AskRefused(Exception):
    """The request will not be answered: its mailbox is closed, was full, or dropped it."""


class Ask(Letter):
    """A request in an actor's mailbox; the actor answers by `reply` or `fail`, whichever comes first counts.

    A crash does not answer it: the request is redelivered and the next incarnation may.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self._abandoned = False
        self._answered = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"Ask({self.request!r})"

    @property
    def abandoned(self) -> bool:
        """Whether the asker has gone (answered, timed out or cancelled): work on an answer is wasted."""
        return self._abandoned

    def reply(self, value: Any) -> bool:
        """Answer with `value`; return whether anybody gets it (a late or second answer is discarded)."""
        return self._answer(value, None)

    def fail(self, error: BaseException) -> bool:
        """Answer by raising `error` in the asker; return whether anybody gets it."""
        return self._answer(None, error)

    def undelivered(self, reason: str) -> None:
        """Raise AskRefused in the asker, who would otherwise wait for nothing."""
        self.fail(AskRefused(f"the request was not answered: {reason}"))

    def _answer(self, value: Any, error: BaseException | None) -> bool:
        if self._abandoned or self._answered.is_set():
            return False
        self._value, self._error = value, error
        self._answered.set()
        return True

    async def _result(self) -> Any:
        await self._answered.wait()
        if self._error is not None:
            raise self._error
        return self._value


async def ask(mailbox: Mailbox, request: Any, *, deadline: float) -> Any:
    """Put `Ask(request)` into the mailbox and return the actor's answer.

    `deadline` is in seconds and covers waiting for room and waiting for the answer. Raises AskTimeout when
    it passes, AskRefused when the mailbox is closed, full for its own deadline, or dropped the request, and
    whatever the actor gave to `fail`. Raises ValueError for a deadline that is not above 0.
    """
    if not deadline > 0:
        raise ValueError(f"the deadline of an ask must be more than 0 seconds, not {deadline!r}")
    question = Ask(request)
    phase = "waiting for room"
    try:
        with trio.move_on_after(deadline):
            await _enqueue(mailbox, question)
            phase = "waiting for the answer"
            return await question._result()  # noqa: SLF001 - the two halves of one exchange
    finally:
        question._abandoned = True  # noqa: SLF001
    raise AskTimeout(f"mailbox {mailbox.name!r} gave no answer to {request!r} in {deadline:g} s: {phase}")


async def _enqueue(mailbox: Mailbox, question: Ask) -> None:
    try:
        await mailbox.put(question)
    except (MailboxClosed, MailboxFull) as refusal:
        raise AskRefused(str(refusal)) from refusal
