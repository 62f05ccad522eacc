"""Profiles worked on paper: what the oracle and the product must both find. Rows are 1 wide."""

from typing import NamedTuple


class Worked(NamedTuple):
    """Volumes by price, and the POC, VAH and VAL that follow."""

    volumes: dict[str, str]
    levels: tuple[int, int, int]
    share: str = "0.7"
    method: str = "pair"


# 12 in all. At 70 % the target is 8.4. By pairs: 5; above 3 + 1 = 4, below 2 + 1 = 3: the two above join:
# 9 >= 8.4. By single rows: 5; above 3, below 2: 103 joins: 8; above 1, below 2: 101 joins: 10.
HILL = {"100": "1", "101": "2", "102": "5", "103": "3", "104": "1"}

PROFILES = {
    "a hill by pairs": Worked(HILL, (102, 104, 102)),
    "a hill by single rows": Worked(HILL, (102, 103, 101), method="single_row"),
    # the target 6 asks for one step; 4.92 for none; 9 is what the first step brings; 12 is everything
    "half of a hill": Worked(HILL, (102, 104, 102), share="0.5"),
    "less of a hill than its top": Worked(HILL, (102, 102, 102), share="0.41"),
    "a target met exactly": Worked(HILL, (102, 104, 102), share="0.75"),
    "all of a hill": Worked(HILL, (102, 104, 100), share="1"),
    # 11 in all, target 7.7: 5; above 1 + 2, below 1 + 2: up: 8.
    "a tie of pairs goes up": Worked(
        {"100": "2", "101": "1", "102": "5", "103": "1", "104": "2"}, (102, 104, 102)
    ),
    # target 5.5: 5; above 1, below 1: up: 6.
    "a tie of single rows goes up": Worked(
        {"100": "2", "101": "1", "102": "5", "103": "1", "104": "2"}, (102, 103, 102), "0.5", "single_row"
    ),
    # 13 in all, target 9.1: 5; above 2 + 1 = 3, below only 4: it joins: 9; below nothing: 2 + 1 join: 12.
    "a side with one row left": Worked(
        {"100": "4", "101": "5", "102": "2", "103": "1", "104": "1"}, (101, 103, 100)
    ),
    # 8 in all, target 5.6: 4; 104 + 105 = 0, 101 + 102 = 0: up; 106 = 1 against 0: up: 5; then only below is
    # left: 0, then 3: 8.
    "empty rows tie and are walked upwards": Worked({"100": "3", "103": "4", "106": "1"}, (103, 106, 100)),
    # 13 in all, target 10.4: 9; above 0 + 0 against 0 + 2 below: down: 11.
    "an empty pair loses to one with volume": Worked(
        {"100": "1", "101": "2", "103": "9", "106": "1"}, (103, 103, 101), share="0.8"
    ),
    # the middle of 0..4 is 2: 3 is nearer to it than 0; 11 in all, target 4.4: the POC is enough
    "a tied POC nearest the middle": Worked({"0": "5", "3": "5", "4": "1"}, (3, 3, 3), share="0.4"),
    "a tied POC as near on both sides is the lower": Worked(
        {"0": "1", "1": "5", "3": "5", "4": "1"}, (1, 1, 1), share="0.4"
    ),
    # the middle of 0..1 is between them
    "two rows alike": Worked({"0": "5", "1": "5"}, (0, 0, 0), share="0.5"),
    # the middle of 0..9 is 4.5
    "a tied POC among three": Worked(
        {"0": "1", "2": "5", "3": "5", "4": "5", "9": "1"}, (4, 4, 4), share="0.2"
    ),
    "a single row": Worked({"7": "0.1"}, (7, 7, 7), share="1"),
}
