"""Records in words."""

import pytest

from mngac.results.wording import ranges


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "3"),
        ([2, 0, 1, 1], "0, 1, 2"),
        ([0, 1, 2, 3, 4], "0, 1, 2, 3, 4"),
        (range(200, 280), "200 to 279"),
        ([9, *range(6), 11, 12], "0 to 5, 9, 11, 12"),
        ([], ""),
    ],
)
def test_of_more_than_five_numbers_in_a_row_the_first_and_last_are_said(numbers, text):
    assert ranges(list(numbers)) == text
