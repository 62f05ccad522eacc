from wadm.crossing import Crossing
from wadm.market import SECOND


def test_a_book_may_be_crossed_for_five_seconds_of_either_clock() -> None:
    for exchange, ours in ((1, 0), (0, 1)):
        crossing = Crossing()
        assert not crossing.look(0, 0, crossed=True)
        five = 5 * SECOND
        assert not crossing.look(five * exchange, five * ours, crossed=True)
        assert crossing.look((five + 1) * exchange, (five + 1) * ours, crossed=True)
        assert crossing.count == 1


def test_a_book_that_is_in_order_between_begins_anew() -> None:
    crossing = Crossing()
    crossing.look(0, 0, crossed=True)
    assert not crossing.look(4 * SECOND, 0, crossed=False)
    assert not crossing.look(6 * SECOND, 0, crossed=True)
    assert (crossing.count, crossing.since) == (2, (6 * SECOND, 0))
