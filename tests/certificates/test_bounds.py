"""auto_LiRPA's bounds as this project asks for them, against closed forms, and against points of the balls."""

import os

import certified_models
import pytest
import torch
from auto_lirpa import needs_auto_lirpa
from helpers import ROOT

from mngac.attacks.apgd import Problem, draw, from_noise, targeted_margin
from mngac.certificates.bounds import Ball, bounds
from mngac.models.files import Architecture, save_classifier
from mngac.params.errors import UserError

pytestmark = [pytest.mark.slow, needs_auto_lirpa]

NORMS, CLASSES, SIZE, N = ("linf", "l1", "l2"), 4, 4, 6
RADII = {"linf": (0.02, 0.1), "l1": (0.1, 0.6), "l2": (0.05, 0.25)}
BALLS = [Ball(norm, radius) for norm in NORMS for radius in RADII[norm]]
NOTHING = -1e9
"""A slack that every bound exceeds, so that all are asked for."""


@pytest.fixture(scope="module", autouse=True)
def _on_the_path():
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]))
    yield
    patch.undo()


def asked(folder, name, method="crown", balls=BALLS, slack=NOTHING):
    """A classifier, images, labels, and the bounds in some balls."""
    torch.manual_seed(1)
    architecture = Architecture(f"certified_models:{name}", CLASSES, 1, SIZE)
    classifier = getattr(certified_models, name)(CLASSES, 1, SIZE).eval()
    save_classifier(folder / "classifier.safetensors", classifier, architecture)
    x = torch.rand(N, 1, SIZE, SIZE)
    x[0, 0, 0], x[1, 0, 1] = 0.0, 1.0  # where a box cuts the ball
    with torch.no_grad():
        y = classifier(x).argmax(1)
    about = dict(classifier=str(folder / "classifier.safetensors"), model=architecture.model, classes=CLASSES)
    about |= dict(method=method, threads=1, batch_size=4, slack=slack)
    ask = torch.ones(N, dtype=torch.bool)
    return classifier, x, y, bounds(folder / "bounds", x, y, ask, balls, **about)


@pytest.fixture(scope="module")
def of_linear(tmp_path_factory):
    return asked(tmp_path_factory.mktemp("linear"), "linear")


@pytest.fixture(scope="module", params=["crown", "crown_ibp"])
def of_residual(request, tmp_path_factory):
    return asked(tmp_path_factory.mktemp(request.param), "residual", request.param)


def closed_form(classifier, x, y, ball):
    """The least margin of a linear classifier in a ball; for l_inf in its part that holds images."""
    weight, bias = classifier[1].weight.double(), classifier[1].bias.double()
    slopes = weight[y][:, None] - weight[None]
    margins = (slopes @ x.double().flatten(1)[:, :, None])[:, :, 0] + bias[y][:, None] - bias
    flat = x.double().flatten(1)[:, None]
    if ball.norm == "linf":
        low, high = (flat - ball.radius).clamp(0, 1) - flat, (flat + ball.radius).clamp(0, 1) - flat
        fall = -torch.where(slopes > 0, slopes * low, slopes * high).sum(2)
    else:
        dual = {"l1": torch.inf, "l2": 2}[ball.norm]
        fall = ball.radius * torch.linalg.vector_norm(slopes, dual, dim=2)
    return (margins - fall).scatter(1, y[:, None], torch.inf).amin(1)


@pytest.mark.parametrize("k", range(len(BALLS)), ids=str)
def test_of_a_linear_classifier_the_bound_is_the_closed_form(of_linear, k):
    classifier, x, y, found = of_linear
    wanted = closed_form(classifier, x, y, BALLS[k])
    assert (found[k].lower.double() - wanted).abs().max() < 1e-5


def margins(classifier, x, y):
    logits = classifier(x).double()
    own = logits.gather(1, y[:, None])
    return (own - logits).scatter(1, y[:, None], torch.inf).amin(1)


def points(classifier, x, y, ball):
    """Points of the ball that are images, and some that are not: all are in the ball that is certified."""
    flat = x.flatten(1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        if ball.norm == "linf":
            delta = ball.radius * torch.randint(-1, 2, flat.shape, generator=generator)
            yield (flat + delta).clamp(0, 1).view_as(x)
        else:
            sparse = torch.rand(flat.shape, generator=generator) < torch.rand(1, generator=generator) + 0.05
            delta = torch.randn(flat.shape, generator=generator) * sparse
            order = {"l1": 1, "l2": 2}[ball.norm]
            size = torch.linalg.vector_norm(delta, order, dim=1, keepdim=True).clamp_min(1e-9)
            yield (flat + ball.radius * delta / size).view_as(x)
    if ball.norm == "l1":
        for place in range(flat.shape[1]):
            for sign in (-1, 1):
                yield (flat + sign * ball.radius * torch.eye(flat.shape[1])[place]).view_as(x)
    problem = Problem(classifier, ball.norm, ball.radius, 30, targeted_margin)
    for other in range(1, CLASSES):
        with torch.enable_grad():
            ascent = from_noise(problem, x, y, (y + other) % CLASSES, draw(x, ball.norm, generator))
            ascent.run()
        yield ascent.best


def least(classifier, x, y, ball):
    """The least margin of each image that is found in the ball."""
    with torch.no_grad():
        return torch.stack([margins(classifier, point, y) for point in points(classifier, x, y, ball)]).amin(0)


@pytest.mark.parametrize("k", range(len(BALLS)), ids=str)
def test_no_point_of_a_ball_has_a_smaller_margin(of_residual, k):
    classifier, x, y, found = of_residual
    assert (least(classifier, x, y, BALLS[k]) >= found[k].lower - 1e-5).all()


@pytest.mark.parametrize("of_residual", ["crown"], indirect=True)
@pytest.mark.parametrize("norm", NORMS)
def test_that_would_be_seen_for_bounds_of_a_ball_too_small(of_residual, norm):
    classifier, x, y, found = of_residual
    small, large = (k for k, ball in enumerate(BALLS) if ball.norm == norm)
    assert (least(classifier, x, y, BALLS[large]) < found[small].lower - 1e-2).any()


def test_bounds_fall_as_balls_grow_and_float64_agrees(of_residual):
    *_, found = of_residual
    for small, large in zip(found[::2], found[1::2], strict=True):
        assert (large.lower < small.lower).all()
        assert max(small.rounding, large.rounding) < 1e-5


def test_an_image_is_asked_about_a_ball_only_where_the_smaller_one_certifies_it(tmp_path):
    *_, every = asked(tmp_path / "all", "linear")
    slack = every[0].lower.median().item()
    *_, found = asked(tmp_path / "few", "linear", balls=BALLS[:2], slack=slack)
    asked_again = found[0].lower > slack
    assert 0 < asked_again.sum() < N and torch.equal(found[1].lower > -torch.inf, asked_again)
    assert torch.equal(found[1].lower[asked_again], every[1].lower[asked_again])


def test_bounds_that_are_there_are_not_computed_again(tmp_path):
    asked(tmp_path, "linear", balls=BALLS[:1])
    path = tmp_path / "bounds/ball-0.safetensors"
    before = path.stat().st_mtime_ns
    *_, found = asked(tmp_path, "linear", balls=BALLS[:2])
    assert path.stat().st_mtime_ns == before and len(found) == 2


def test_what_auto_lirpa_cannot_bound_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"auto_LiRPA gave no bounds of .*classifier\.safetensors: "):
        asked(tmp_path, "sorted_pixels")
