from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.nodes import Nodes, nodes, smoothed
from wadm.analytics.profile import Profile, ValueAreaMethod


def made(volumes: list[int], low: int = 0) -> Profile:
    rows = {low + at: [volume, 0, 1, 0] for at, volume in enumerate(volumes) if volume}
    return Profile(Decimal(1), 0, rows, None, None, None, 0, Decimal("0.7"), ValueAreaMethod.PAIR)


def test_the_box_sums_what_is_there_at_the_edges() -> None:
    # 5, 1, 4 with one neighbour a side: 5+1, 5+1+4, 1+4
    assert smoothed([5, 1, 4], 1) == [6, 10, 5]
    assert smoothed([5, 1, 4], 0) == [5, 1, 4]


@pytest.mark.parametrize(
    ("volumes", "smoothing", "prominence", "high", "low"),
    [
        ([], 0, "0.1", (), ()),
        ([3], 0, "0.1", (0,), ()),
        # two hills of 9 and 8 and a valley of 1: both stand out by 8 and 7 of 9
        ([2, 9, 4, 1, 5, 8, 3], 0, "0.1", (1, 5), (3,)),
        # the second hill stands 8 - 5 = 3 above its saddle, a third of 9
        ([2, 9, 5, 8, 3], 0, "0.33", (1, 3), (2,)),
        ([2, 9, 5, 8, 3], 0, "0.34", (1,), ()),
        # level ground is one node, at its lowest row; an empty row is the lowest valley
        ([4, 4, 0, 4], 0, "0.1", (0, 3), (2,)),
        # smoothed over one neighbour: 11, 15, 14, 10, 14, 16, 11
        ([2, 9, 4, 1, 5, 8, 3], 1, "0.1", (1, 5), (3,)),
    ],
)
def test_nodes_are_the_prominent_hills_and_the_valleys_between(
    volumes: list[int], smoothing: int, prominence: str, high: tuple[int, ...], low: tuple[int, ...]
) -> None:
    assert nodes(made(volumes), smoothing, Decimal(prominence)) == Nodes(high, low)


def test_nodes_are_named_by_the_profiles_rows() -> None:
    assert nodes(made([2, 9, 4, 1, 5, 8, 3], low=-3), 0, Decimal("0.1")) == Nodes((-2, 2), (0,))


def brute(heights: list[int], peak: int) -> int:
    """How far one must at least go down from a peak to get to higher ground, or off the profile."""
    saddles = []
    for side in (heights[:peak][::-1], heights[peak + 1 :]):
        higher = next((at for at, height in enumerate(side) if height > heights[peak]), None)
        saddles.append(0 if higher is None else min([heights[peak], *side[:higher]]))
    return heights[peak] - max(saddles)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 2), st.integers(0, 10))
def test_the_nodes_are_those_found_row_by_row(volumes: list[int], smoothing: int, tenths: int) -> None:
    if not volumes[0] or not volumes[-1]:
        volumes = [1, *volumes, 1]
    heights = [sum(volumes[max(0, at - smoothing) : at + smoothing + 1]) for at in range(len(volumes))]
    walls = [-1, *heights, -1]
    hills = []
    for at in range(1, len(walls) - 1):
        right = at
        while walls[right] == walls[at]:
            right += 1
        if walls[at - 1] < walls[at] > walls[right]:
            hills.append(at - 1)
    share = Decimal(tenths) / 10
    high = tuple(hill for hill in hills if brute(heights, hill) >= max(heights) * share)
    found = nodes(made(volumes), smoothing, share)
    assert found.high == high
    for left, right, valley in zip(high, high[1:], found.low, strict=False):
        assert heights[valley] == min(heights[left:right])


def test_too_many_rows_are_refused() -> None:
    far = Profile(
        Decimal(1),
        0,
        {0: [1, 0, 1, 0], 10**6: [1, 0, 1, 0]},
        0,
        0,
        0,
        1,
        Decimal("0.7"),
        ValueAreaMethod.PAIR,
    )
    with pytest.raises(ValueError, match="1000001 rows are too many"):
        nodes(far, 1, Decimal("0.1"))
