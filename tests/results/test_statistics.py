"""Intervals and tests against textbook numbers and against scipy."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from mngac.results.intervals import half_width, wilson
from mngac.results.statistics import discordant, holm, mcnemar, paired_difference, paired_t, spread


def pairs(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Two columns with these counts."""
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (81, 263), (10, 10), (500, 1000)])
def test_wilson_equals_scipy(k, n):
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_normal_interval_equals_scipys(level):
    assert half_width(2.0, level) == pytest.approx(norm(0, 2.0).interval(level)[1])


def test_mcnemar_of_the_airway_example_is_that_of_the_textbook():
    """Bentur et al. 2009 in Fagerland, Lydersen and Laake 2017, table 8.2: 1, 1, 7, 12; exact conditional p 0.070."""
    first, second = pairs(1, 1, 7, 12)
    assert mcnemar(first, second) == pytest.approx(0.0703125)
    assert discordant(first, second) == (1, 7)


def test_the_score_interval_of_the_airway_example_is_that_of_the_textbook():
    """The same example, Tango's score interval: -0.517 to -0.026."""
    difference, low, high = paired_difference(*pairs(1, 1, 7, 12))
    assert difference == pytest.approx(-6 / 21)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)


def test_the_interval_of_a_large_table_is_that_of_agresti():
    """Approval ratings (Agresti, Categorical Data Analysis, table 10.1): 0.04, 0.02 to 0.06."""
    difference, low, high = paired_difference(*pairs(794, 150, 86, 570))
    assert (difference, round(low, 2), round(high, 2)) == (pytest.approx(0.04), 0.02, 0.06)


@pytest.mark.parametrize(("b", "c"), [(3, 9), (10, 0), (12, 30), (5, 5)])
def test_mcnemar_is_the_binomial_test_on_the_discordant_pairs(b, c):
    assert mcnemar(*pairs(20, b, c, 20)) == pytest.approx(binomtest(b, b + c).pvalue)


def test_equal_columns_have_p_one_and_an_interval_around_zero():
    difference, low, high = paired_difference(*pairs(30, 0, 0, 10))
    assert mcnemar(*pairs(30, 0, 0, 10)) == 1
    assert difference == 0 and low == pytest.approx(-high) and 0 < high < 0.1


@pytest.mark.parametrize("counts", list(itertools.product((0, 4), (0, 2, 9), (0, 1, 6), (1, 5))))
def test_the_score_interval_holds_its_difference_and_mirrors_when_the_sides_are_swapped(counts):
    first, second = pairs(*counts)
    difference, low, high = paired_difference(first, second)
    assert -1 <= low <= difference <= high <= 1
    assert paired_difference(second, first) == pytest.approx((-difference, -high, -low), abs=1e-9)


def test_the_score_interval_leaves_zero_out_just_when_the_z_test_rejects():
    for b, c in itertools.product(range(0, 14), range(0, 14)):
        if b + c == 0:
            continue
        _, low, high = paired_difference(*pairs(10, b, c, 10))
        z = abs(b - c) / (b + c) ** 0.5
        assert (low > 0 or high < 0) == (z > 1.959964)


def test_the_score_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    drawn = random.multinomial(60, [0.5, 0.2, 0.1, 0.2], size=400)
    covered = [low <= 0.1 <= high for _, low, high in (paired_difference(*pairs(*d)) for d in drawn)]
    assert 0.92 < np.mean(covered) < 0.98


def test_the_paired_t_of_the_sleep_example_is_students():
    """Student 1908: the additional hours of sleep of ten patients; t = 4.06, p = 0.0028, interval 0.70 to 2.46."""
    found = paired_t([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert found == (
        pytest.approx(1.58),
        *(pytest.approx(v, abs=5e-3) for v in (0.70, 2.46)),
        pytest.approx(0.002833, abs=1e-6),
    )


def test_the_paired_t_covers_the_truth_as_often_as_it_says_with_three_seeds():
    random = np.random.default_rng(2)
    covered = [low <= 1 <= high for _, low, high, _ in (paired_t(d) for d in random.normal(1, 2, size=(1000, 3)))]
    assert 0.93 < np.mean(covered) < 0.97


def test_differences_that_are_all_alike_show_nothing_but_where_all_are_zero():
    assert paired_t([2.0, 2.0]) == (2.0, None, None, None)
    assert paired_t([0.0, 0.0, 0.0]) == (0.0, 0.0, 0.0, 1.0)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError):
        mcnemar([True], [True, False])
    with pytest.raises(ValueError, match="at least two"):
        paired_t([1.0])
    with pytest.raises(ValueError, match="no images"):
        paired_difference([], [])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.04]) == [pytest.approx(0.03), None, pytest.approx(0.08)]


def test_spread_of_one_value_has_no_deviation():
    assert spread([3.0]) == (3.0, None)
    assert spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))
