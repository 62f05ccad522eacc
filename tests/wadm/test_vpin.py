from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.vpin import Vpin, vpin

Volumes = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("volumes", "count", "full", "value"),
    [
        # buckets of 10: |7-3| and |2-8| are 4 and 6, over 2·10
        ([(7, 0), (0, 3), (2, 0), (0, 8)], 2, 2, Fraction(10, 20)),
        # a buy of 25 fills one bucket, a second, and half of a third: both are one-sided
        ([(25, 0)], 2, 2, Fraction(1)),
        # a sell of 6 behind a buy of 7 is split 3 and 3: |7-3| = 4; then 3 + 7 sold fill the second: 10
        ([(7, 0), (0, 6), (0, 7)], 2, 2, Fraction(14, 20)),
        # a minute of 15 bought and 5 sold is split in proportion: 7.5 and 2.5 in each of two buckets
        ([(15, 5)], 2, 2, Fraction(1, 2)),
        # 4 bought, then a minute of 6 and 3: 6 of its 9 fill the bucket, of which 4 bought: |8-2| = 6
        ([(4, 0), (6, 3)], 1, 1, Fraction(6, 10)),
        # of three buckets only the last two count: |10-0|, |5-5|
        ([(0, 10), (10, 0), (5, 5)], 2, 3, Fraction(10, 20)),
        # a bucket just full is full, and there is no value before count are
        ([(10, 0), (9, 0)], 2, 1, None),
        ([(10, 0), (10, 0)], 2, 2, Fraction(1)),
        ([(0, 0)], 1, 0, None),
        ([], 1, 0, None),
    ],
)
def test_vpin_is_the_mean_imbalance_of_the_last_buckets(
    volumes: Volumes, count: int, full: int, value: Fraction | None
) -> None:
    found = vpin(volumes, 10, count)
    assert (found.full, found.value) == (full, value)


def by_units(volumes: Volumes, bucket: int, count: int) -> tuple[int, Fraction | None]:
    """Every unit of volume one by one, each its call's share of buying."""
    shares = [Fraction(buy, buy + sell) for buy, sell in volumes for _ in range(buy + sell)]
    full = len(shares) // bucket
    if full < count:
        return full, None
    imbalances = []
    for number in range(full - count, full):
        bought = sum(shares[number * bucket : (number + 1) * bucket])
        imbalances.append(abs(bought - (bucket - bought)))
    return full, Fraction(sum(imbalances)) / (count * bucket)


amounts = st.integers(0, 25)


@given(
    st.lists(st.tuples(amounts, amounts), max_size=12)
    | st.lists(st.tuples(amounts, st.just(0)) | st.tuples(st.just(0), amounts), max_size=20),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_vpin_is_that_of_single_units(volumes: Volumes, bucket: int, count: int) -> None:
    found = vpin(volumes, bucket, count)
    assert (found.full, found.value) == by_units(volumes, bucket, count)


@given(st.lists(st.tuples(amounts, st.just(0)) | st.tuples(st.just(0), amounts), max_size=20))
def test_trades_may_come_in_parts_and_the_fold_go_on(volumes: Volumes) -> None:
    whole, parts = vpin(volumes, 7, 2), Vpin(7, 2)
    for buy, sell in volumes:
        parts.add(buy // 2, sell // 2)
        parts.add(buy - buy // 2, sell - sell // 2)
    assert (parts.full, parts.value) == (whole.full, whole.value)
