"""Figures of classifiers on a card: the same pixels as on the host."""

import io

import matplotlib.pyplot as plt
import pytest
import torch
from card import Card, card
from evaluation_helpers import RADII, digits, trained
from helpers import small_params

from mngac.figures import over_radius, perturbations
from mngac.figures.from_models import DRAW
from mngac.figures.subjects import Subjects
from mngac.models.noise_generator import NoiseGenerator
from mngac.params.types import number


def subjects(device):
    """Two classifiers of digits, and twenty images."""
    x, y = digits(20)
    classifiers = {name: trained().requires_grad_(False) for name in ("nat", "mng_ac")}
    if device != "cpu":
        x, y, classifiers = x.to(device), y.to(device), {name: c.to(device) for name, c in classifiers.items()}
    return Subjects(
        dataset="digits",
        classifiers=classifiers,
        x=x,
        y=y,
        classes=[str(c) for c in range(10)],
        radii={norm: number(getattr(RADII, norm)) for norm in ("linf", "l1", "l2")},
        params=small_params().figures,
        reference="nat",
        split="test",
        seed=0,
        device=device,
    )


def load_generator(dataset, method, seed, device):
    """A generator of fresh weights, for one of the methods."""
    torch.manual_seed(0)
    made = NoiseGenerator(1).requires_grad_(False)
    return None if method == "nat" else made if device == "cpu" else made.to(device)


def drawn(device, draw):
    """A figure's pixels."""
    figure, out = draw(subjects(device)), io.BytesIO()
    figure.savefig(out, format="rgba", dpi=40)
    plt.close(figure)
    return out.getvalue()


@pytest.mark.parametrize("name", DRAW)
def test_a_figure_is_the_hosts(monkeypatch, name):
    monkeypatch.setattr(perturbations, "load_generator", load_generator)
    host = drawn("cpu", DRAW[name])
    with card(Card, monkeypatch):
        there = drawn("lazy", DRAW[name])
    assert there == host


def test_robust_accuracy_over_the_radius_is_the_hosts(monkeypatch):
    host = over_radius.measure(subjects("cpu"))
    with card(Card, monkeypatch):
        there = over_radius.measure(subjects("lazy"))
    assert there == host and len(set(host["nat", "linf"])) > 1
