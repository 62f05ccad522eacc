import pytest

from supervision import DeadLetters, Mailbox, MailboxClosed, MailboxFull


def test_letters_are_kept_listed_and_discarded():
    letters, one, two = DeadLetters(), Mailbox("one", 1), Mailbox("two", 1)
    first = letters.keep(one, "a", "ValueError: bad", 1.5)
    second = letters.keep(two, "b", "KeyError: worse", 2.5)
    assert (first.id, first.mailbox, first.message, first.cause, first.at) == (
        1,
        "one",
        "a",
        "ValueError: bad",
        1.5,
    )
    assert list(letters.list()) == [first, second]
    assert list(letters.list("two")) == [second]
    assert letters.discard(1) is first
    assert len(letters) == 1
    with pytest.raises(LookupError, match="no dead letter 1"):
        letters.discard(1)


def test_a_replayed_letter_is_in_its_mailbox_again():
    letters, mailbox = DeadLetters(), Mailbox("m", 1)
    letter = letters.keep(mailbox, "again", "", 0)
    assert letters.replay(letter.id) is letter
    assert list(mailbox.pending()) == ["again"]
    assert len(letters) == 0


def test_a_letter_that_its_mailbox_does_not_take_is_kept():
    letters, mailbox = DeadLetters(), Mailbox("m", 1)
    letter = letters.keep(mailbox, "again", "", 0)
    mailbox.put_nowait("in the way")
    with pytest.raises(MailboxFull):
        letters.replay(letter.id)
    mailbox.close()
    with pytest.raises(MailboxClosed):
        letters.replay(letter.id)
    assert list(letters.list()) == [letter]
    with pytest.raises(LookupError):
        letters.replay(99)


def test_when_full_the_oldest_makes_room_and_is_counted():
    letters, mailbox = DeadLetters(capacity=2), Mailbox("m", 1)
    for number in range(5):
        letters.keep(mailbox, number, "", 0)
    assert [letter.message for letter in letters.list()] == [3, 4]
    assert letters.dropped == 3
    with pytest.raises(ValueError, match="at least 1, not 0"):
        DeadLetters(0)
