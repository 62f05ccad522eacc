from made_up_books import snapshot, update

from wadm.market import BestQuote
from wadm.orderbook import OrderBook
from wadm.quote_check import QuoteCheck


def book_of(bid: tuple[int, int], ask: tuple[int, int]) -> OrderBook:
    book = OrderBook()
    book.replace(snapshot(1, [bid], [ask]))
    return book


def quote(update_id: int, bid: str = "10.0", quantity: str = "1.00") -> BestQuote:
    return BestQuote(update_id, bid, quantity, "11", "2")


BOOK = book_of((10, 1), (11, 2))


def test_the_last_quote_within_a_diff_is_compared_once_a_later_one_has_come() -> None:
    check = QuoteCheck()
    check.quote(quote(102, "9"))
    check.quote(quote(104))
    check.applied(update(101, 105), BOOK)
    assert check.checked == 0  # a quote of update 105 may still come
    check.quote(quote(106))
    assert (check.checked, check.mismatches) == (1, 0)


def test_quotes_that_come_after_their_diff_are_compared_too() -> None:
    check = QuoteCheck()
    check.quote(quote(90))
    check.applied(update(101, 105), BOOK)
    check.applied(update(106, 110), BOOK)
    for number in (103, 108, 111):
        check.quote(quote(number))
    assert (check.checked, check.mismatches) == (2, 0)


def test_a_diff_in_which_no_quote_lies_is_not_compared() -> None:
    check = QuoteCheck()
    check.quote(quote(100, "1"))
    check.applied(update(101, 105), BOOK)
    check.quote(quote(106, "1"))
    assert check.checked == 0


def test_what_differs_is_kept_with_both_sides() -> None:
    check = QuoteCheck()
    check.quote(quote(101, quantity="1.5"))
    check.applied(update(101, 105), BOOK)
    check.quote(quote(106))
    assert (check.checked, check.mismatches) == (1, 1)
    (kept,) = check.kept
    assert (kept.update_id, kept.ours, kept.theirs) == (
        101,
        ("10", "1", "11", "2"),
        ("10", "1.5", "11", "2"),
    )


def test_an_empty_side_is_quoted_as_zero_and_what_is_no_number_differs() -> None:
    check = QuoteCheck()
    check.quote(BestQuote(101, "0.00", "0", "11", "2"))
    book = OrderBook()
    book.replace(snapshot(1, [], [(11, 2)]))
    check.applied(update(101, 101), book)
    check.quote(BestQuote(102, "NaN", "", "11", "2"))
    check.applied(update(102, 102), book)
    check.quote(quote(103))
    assert (check.checked, check.mismatches) == (2, 1)


def test_quotes_that_come_again_or_late_are_dropped_and_without_any_nothing_is_kept() -> None:
    check = QuoteCheck()
    check.applied(update(90, 95), BOOK)
    check.quote(quote(104))
    check.quote(quote(104, "5"))
    check.quote(quote(102, "5"))
    check.applied(update(101, 105), BOOK)
    check.quote(quote(106))
    assert (check.checked, check.mismatches) == (1, 0)


def test_after_a_gap_what_waits_is_forgotten() -> None:
    check = QuoteCheck()
    check.quote(quote(102, "9"))
    check.applied(update(101, 105), BOOK)
    check.forget()
    check.quote(quote(106))
    assert check.checked == 0


def test_quotes_that_name_no_update_are_not_compared() -> None:
    check = QuoteCheck()
    check.quote(quote(0, "9"))
    check.applied(update(0, 1), BOOK)
    check.quote(quote(2))
    assert check.checked == 0
