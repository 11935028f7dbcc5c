"""Thresholds: both ways to each are one, a row's is its own, and nothing is left above the radius or never ends."""

import pytest
import torch
from test_norms import DIMS, rows

from mngac import l1_thresholds
from mngac.l1_thresholds import ball_threshold, box_threshold, nth_largest
from mngac.norms import LP

RADII = (0.1, 2.0, 50.0)


def drawn(dim):
    """Sizes of many kinds: drawn, and rounded so that many are alike or zero."""
    draws = torch.Generator().manual_seed(dim)
    plain = torch.randn(20, dim, generator=draws).abs()
    rounded = (4 * torch.randn(20, dim, generator=draws)).round().abs() / 4
    return torch.cat([rows(dim).abs(), plain, rounded])


def slack_of(size):
    """Room of each coordinate: none, little, or more than its size."""
    room = torch.rand(size.shape, generator=torch.Generator().manual_seed(7), dtype=size.dtype)
    return torch.where(room < 0.2, torch.zeros_like(room), room)


@pytest.mark.parametrize("dim", DIMS)
def test_both_ways_keep_the_same_coordinates_above_a_balls_threshold(dim):
    size = drawn(dim)
    for radius in RADII:
        climbed = l1_thresholds._kept_by_climbing(size, radius)
        ordered = l1_thresholds._kept_by_sorting(size, radius)
        outside = size.double().sum(1) > radius
        assert torch.equal(climbed[outside], ordered[outside])


@pytest.mark.parametrize("dim", DIMS)
def test_both_ways_find_one_threshold_for_ball_and_box(dim):
    size = drawn(dim).double()
    for radius in RADII:
        by_newton = l1_thresholds._threshold_by_newton(size, slack_of(size), radius)
        by_sorting = l1_thresholds._threshold_by_sorting(size, slack_of(size), radius)
        torch.testing.assert_close(by_newton, by_sorting, rtol=1e-9, atol=1e-12)


def test_a_rows_threshold_does_not_depend_on_the_rows_beside_it():
    size = drawn(192).double()
    together = box_threshold(size, slack_of(size), 2.0)
    slack = slack_of(size)
    alone = torch.cat([box_threshold(size[k : k + 1], slack[k : k + 1], 2.0) for k in range(len(size))])
    torch.testing.assert_close(together, alone, rtol=1e-11, atol=0)


@pytest.mark.parametrize("looking", [True, False])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_rows_that_are_not_finite_end_and_spoil_no_other(monkeypatch, bad, looking):
    monkeypatch.setattr(l1_thresholds, "looks_are_free", lambda values: looking)
    size = torch.rand(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spoilt = size.clone()
    spoilt[1, 2] = bad
    slack = torch.full_like(size, 0.5)
    for threshold in (lambda s: ball_threshold(s, 0.3), lambda s: box_threshold(s, slack, 0.3)):
        torch.testing.assert_close(threshold(spoilt)[[0, 2]], threshold(size)[[0, 2]], rtol=1e-12, atol=0)


def test_a_sum_that_jumps_between_two_neighbouring_numbers_has_a_threshold_too():
    """Slacks below half a last place of the sizes: at the threshold no coordinate is between its two ends."""
    slack = torch.full((2, 3000), 1e-17, dtype=torch.float64)
    slack[:, 0] = 0.5
    size = torch.tensor([[1.0], [2.0]], dtype=torch.float64).expand(2, 3000)
    found = box_threshold(size, slack, 0.5 + 1.5e-14)
    assert ((found >= 0) & (found <= size[:, :1])).all()


@pytest.mark.parametrize("looking", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_row_with_one_coordinate_far_above_the_radius_is_projected(monkeypatch, dtype, looking):
    """Rounded to the coordinates' type, its threshold is the coordinate itself: none would lie above it."""
    monkeypatch.setattr(l1_thresholds, "looks_are_free", lambda values: looking)
    delta = torch.tensor([1e6, 1.0, 0.0, -2.0], dtype=dtype).view(1, 1, 2, 2)
    assert LP["l1"].size(LP["l1"].project(delta, 1e-3)).item() <= 1e-3 * (1 + torch.finfo(dtype).eps)


@pytest.mark.parametrize("looking", [True, False])
def test_the_nth_largest_value_is_the_sorted_rows_own(monkeypatch, looking):
    monkeypatch.setattr(l1_thresholds, "looks_are_free", lambda values: looking)
    values = drawn(192)
    place = torch.arange(len(values)).view(-1, 1) * 4
    expected = values.sort(dim=1, descending=True).values.gather(1, place)
    assert torch.equal(nth_largest(values, place), expected)
