"""The frontier of union against cost: a row that a cheaper one may equal is not on it."""

import pytest

from mngac.results.frontier import frontier

CASES = {
    "one row": ([(5, 40, 50)], [True]),
    "dearer and clearly better": ([(1, 10, 20), (2, 21, 30)], [True, True]),
    "dearer, and the intervals meet": ([(1, 10, 20), (2, 20, 30)], [True, False]),
    "dearer and worse": ([(1, 30, 40), (2, 10, 20)], [True, False]),
    "in any order": ([(3, 41, 50), (1, 10, 20), (2, 15, 40)], [True, True, False]),
    "better than the next cheaper, not than a cheaper one that is off it": (
        [(1, 10, 20), (2, 15, 40), (3, 30, 50)],
        [True, False, False],
    ),
    "the same cost, clearly apart": ([(1, 10, 20), (1, 30, 40)], [False, True]),
    "the same cost, intervals that meet": ([(1, 10, 20), (1, 15, 25)], [True, True]),
    "none": ([], []),
}


@pytest.mark.parametrize(("points", "expected"), CASES.values(), ids=CASES)
def test_who_is_on_it(points, expected):
    assert frontier(points) == expected
