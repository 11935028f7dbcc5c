"""Norms: what starts, steps, projections and fits promise, against KKT conditions and closed forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mngac import l1_thresholds
from mngac.norms import LP, l1_box_project, l1_project, l2_add_noise

DIMS = (192, 3072, 12288)
SLACK = 1 + 1e-5
ROUNDING = 6e-8  # of one pixel in float32: x + delta - x is delta only up to it


def images(seed: int, batch: int, size: int) -> torch.Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


cases = given(
    name=st.sampled_from(sorted(LP)),
    seed=st.integers(0, 10_000),
    radius=st.floats(1e-3, 20),
    scale=st.floats(1e-3, 1e3),
    size=st.sampled_from([1, 5, 8]),
)


@cases
@settings(max_examples=60, deadline=None)
def test_start_ascend_project_and_fit_stay_in_ball_and_pixel_range(name, seed, radius, scale, size):
    norm, x = LP[name], images(seed, 3, size)
    draws = torch.Generator().manual_seed(seed)
    noise = scale * torch.randn(x.shape, generator=draws)
    start = norm.start(x, radius, draws)
    assert (norm.size(start) <= radius * SLACK).all()
    moved = norm.to_ball(x, start + norm.ascend(noise, radius, 5), radius)
    assert (norm.size(moved) <= radius * SLACK + ROUNDING * x[0].numel()).all()
    assert ((x + moved >= -1e-6) & (x + moved <= 1 + 1e-6)).all()
    fitted = norm.add_noise(x, noise, radius)
    assert ((fitted >= 0) & (fitted <= 1)).all()
    assert (norm.size(fitted - x) <= radius * SLACK + ROUNDING * x[0].numel()).all()


@cases
@settings(max_examples=40, deadline=None)
def test_an_ascent_step_has_the_length_asked_for(name, seed, radius, scale, size):
    gradient = scale * torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))
    step = LP[name].ascend(gradient, radius, 4)
    torch.testing.assert_close(LP[name].size(step), torch.full((2,), radius), rtol=1e-4, atol=0)
    assert ((step * gradient).flatten(1).sum(1) > 0).all()


@pytest.mark.parametrize("name", sorted(LP))
def test_a_zero_gradient_gives_a_finite_step(name):
    assert LP[name].ascend(torch.zeros(2, 1, 4, 4), 0.1, 3).isfinite().all()


@pytest.mark.parametrize("name", sorted(LP))
def test_starts_fill_the_ball_as_a_uniform_draw_does(name):
    """In d dimensions (‖delta‖ / radius)^d is uniform on [0, 1]: its mean is 1/2."""
    x = torch.full((20_000, 1, 2, 2), 0.5)
    start = LP[name].start(x, 0.3, torch.Generator().manual_seed(0))
    share = (LP[name].size(start) / 0.3) ** 4
    assert abs(share.mean().item() - 0.5) < 0.01
    assert abs(start.mean().item()) < 0.005


def rows(dim: int) -> torch.Tensor:
    """Inside, on and outside the unit-radius l_1 ball of radius 2: small, exact, large, sparse and with ties."""
    draws = torch.Generator().manual_seed(dim)
    wide = torch.randn(6, dim, generator=draws)
    inside = wide[0] / wide[0].abs().sum()
    on = 2 * wide[1] / wide[1].abs().sum()
    sparse = torch.zeros(dim).index_fill(0, torch.tensor([1, 5]), 3.0)
    ties = torch.full((dim,), -0.25)
    return torch.stack([inside, on, wide[2], 100 * wide[3], sparse, ties])


def assert_kkt(v, w, radius, room=None, tol=1e-5):
    """w minimises ‖w - v‖ on the ball: w = sign(v) min(max(|v| - theta, 0), room) with one theta >= 0 a row."""
    for vi, wi, cap in zip(v.double(), w.double(), room if room is not None else [None] * len(v), strict=True):
        cap = torch.full_like(vi, torch.inf) if cap is None else cap.double()
        assert wi.abs().sum() <= radius * (1 + tol)
        assert (wi * vi >= 0).all() and (wi.abs() <= cap + tol).all()
        free = (wi.abs() > tol) & (wi.abs() < cap - tol)
        thetas = (vi.abs() - wi.abs())[free]
        if wi.abs().sum() < radius * (1 - tol):
            torch.testing.assert_close(wi, vi.sign() * torch.minimum(vi.abs(), cap), rtol=0, atol=tol)
            continue
        theta = thetas.mean() if len(thetas) else (vi.abs() - wi.abs())[(wi == 0) & (cap > tol)].max()
        assert theta >= -tol
        assert (thetas - theta).abs().max() <= tol * max(1.0, theta.item()) if len(thetas) else True
        assert (vi.abs()[(wi.abs() <= tol) & (cap > tol)] <= theta + 2 * tol * max(1.0, theta.item())).all()
        full = (cap > tol) & (wi.abs() >= cap - tol)
        assert (vi.abs()[full] >= theta + cap[full] - 2 * tol * max(1.0, theta.item())).all()


@pytest.fixture(params=[True, False], ids=["looking", "sorting"])
def way(request, monkeypatch):
    """Either way to a threshold, whatever the device."""
    monkeypatch.setattr(l1_thresholds, "looks_are_free", lambda values: request.param)


@pytest.mark.parametrize("dim", DIMS)
def test_l1_projection_meets_the_kkt_conditions(dim, way):
    v = rows(dim)
    assert_kkt(v, l1_project(v.view(6, 3, -1, 4), 2.0).view(6, -1), 2.0)


@pytest.mark.parametrize("dim", DIMS)
def test_l1_projection_leaves_rows_inside_untouched(dim, way):
    v = rows(dim)[:1]
    assert torch.equal(l1_project(v.view(1, 3, -1, 4), 2.0).view(1, -1), v)


@pytest.mark.parametrize("dim", DIMS)
def test_ball_and_box_projection_meets_the_kkt_conditions(dim, way):
    v = rows(dim)
    x = torch.rand(v.shape, generator=torch.Generator().manual_seed(1))
    x[:, :10] = 0
    x[:, 10:20] = 1
    w = l1_box_project(x.view(6, 3, -1, 4), v.view(6, 3, -1, 4), 2.0).view(6, -1)
    assert ((x + w >= -1e-6) & (x + w <= 1 + 1e-6)).all()
    assert_kkt(v, w, 2.0, torch.where(v > 0, 1 - x, x))


def test_l1_projection_is_differentiable_through_its_threshold(way):
    v = torch.randn(2, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: l1_project(d, 1.0), v)


def test_l2_fit_reaches_the_radius_whatever_the_noise_is_long():
    x = images(0, 4, 6)
    for scale in (1e-3, 1.0, 50.0):
        noise = scale * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        sizes = (l2_add_noise(x, noise, 1.5) - x).flatten(1).norm(dim=1)
        torch.testing.assert_close(sizes, torch.full((4,), 1.5), rtol=1e-5, atol=0)


def test_l2_fit_uses_all_room_where_the_radius_is_out_of_reach():
    x = torch.full((1, 1, 2, 2), 0.9)
    fitted = l2_add_noise(x, torch.ones(1, 1, 2, 2), 5.0)
    torch.testing.assert_close(fitted, torch.ones_like(x))


def test_l2_fit_is_differentiable():
    x = images(1, 2, 3).double()
    noise = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: l2_add_noise(x, d, 0.7), noise)
