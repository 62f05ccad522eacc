from hypothesis import given
from hypothesis import strategies as st
from made_up_books import changed, held, snapshot, update

from wadm.orderbook import Level, OrderBook, Side

levels = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=12)


def book_of(bids: list[Level], asks: list[Level], *, depth: int = 5_000, limited: bool = False) -> OrderBook:
    book = OrderBook(depth, limited)
    book.replace(snapshot(1, bids, asks))
    return book


@given(levels, levels, st.lists(st.tuples(levels, levels)))
def test_a_book_holds_what_a_plain_dictionary_would(
    bids: list[Level], asks: list[Level], diffs: list[tuple[list[Level], list[Level]]]
) -> None:
    book = book_of(bids, asks)
    plain = [changed({}, bids), changed({}, asks)]
    for diff in diffs:
        book.apply(update(2, 2, *diff))
        plain = [changed(side, levels) for side, levels in zip(plain, diff, strict=True)]
        assert list(held(book)) == plain
        assert book.bids.top(3) == sorted(plain[0].items(), reverse=True)[:3]
        assert book.asks.top(3) == sorted(plain[1].items())[:3]
        assert book.bids.best == max(plain[0].items(), default=None)
        assert book.asks.best == min(plain[1].items(), default=None)
        assert (len(book.bids), len(book.asks)) == (len(plain[0]), len(plain[1]))


def test_the_worst_levels_beyond_the_depth_are_forgotten() -> None:
    book = book_of([(10, 1), (9, 1), (8, 1)], [(11, 1)], depth=3)
    book.apply(update(2, 2, [(7, 1), (9, 5)]))
    assert (book.bids.top(9), book.pruned) == ([(10, 1), (9, 5), (8, 1)], 1)
    book.apply(update(3, 3, [(12, 1)]))
    assert (book.bids.top(9), book.pruned) == ([(12, 1), (10, 1), (9, 5)], 2)
    assert book.bids.horizon == 9  # what was forgotten may still be there


def test_an_exchange_that_tells_of_so_many_levels_only_tells_of_all_of_them() -> None:
    book = book_of([(10, 1), (9, 1)], [], depth=2, limited=True)
    book.apply(update(2, 2, [(11, 1)]))
    assert (book.bids.top(9), book.bids.horizon, book.bids.known) == ([(11, 1), (10, 1)], None, 2)


def test_behind_the_end_of_a_cut_snapshot_not_every_level_is_known() -> None:
    book = OrderBook()
    book.replace(snapshot(1, [(10, 1), (9, 1)], [(11, 1)]), cut_at=2)
    assert (book.bids.horizon, book.asks.horizon) == (9, None)
    book.apply(update(2, 2, [(8, 1), (9, 0)], [(14, 1)]))
    assert (len(book.bids), book.bids.known) == (2, 1)
    assert (len(book.asks), book.asks.known) == (2, 2)


def test_a_finer_update_rescales_the_book_exactly_and_a_coarser_one_is_scaled_itself() -> None:
    book = OrderBook()
    book.replace(update(1, 1, [(615, 7)], [(616, 3)], decimals=(1, 0)), cut_at=1)
    book.apply(update(2, 2, [(61_455, 25)], [(61_700, 0)], decimals=(3, 2)))
    assert (book.price_decimals, book.quantity_decimals) == (3, 2)
    assert held(book) == ({61_500: 700, 61_455: 25}, {61_600: 300})
    assert book.bids.horizon == 61_500
    book.apply(update(3, 3, [], [(62, 4)], decimals=(0, 0)))
    assert held(book)[1] == {61_600: 300, 62_000: 400}


def test_crossed_and_locked_books_are_crossed_and_one_sided_ones_are_not() -> None:
    assert book_of([(10, 1)], [(10, 1)]).crossed
    assert book_of([(11, 1)], [(10, 1)]).crossed
    assert not book_of([(10, 1)], [(11, 1)]).crossed
    assert not book_of([(10, 1)], []).crossed
    assert not OrderBook().crossed


def test_no_level_is_asked_for_and_none_is_given() -> None:
    side = Side(1)
    side.change([(5, 1)])
    assert side.top(0) == []
