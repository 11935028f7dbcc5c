"""What the tests of evaluation share: real digits, a small classifier trained on them, short suites, records."""

import copy
import functools

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.params.sections import Radii, Suite
from mngac.results.records import AttackRecord, Record

RADII = Radii(linf=0.1, l1=1.0, l2=0.4)
ENTRIES = {
    "pgd": {"steps": 10, "step_size": 0.25},
    "pgd_l1": {"steps": 10, "step_size": 0.25, "top_share": 0.05},
    "apgd_ce": {"steps": 10, "restarts": 1},
    "apgd_t": {"steps": 10, "restarts": 1, "targets": 9},
    "batched_apgd_ce": {"steps": 10, "restarts": 2},
    "batched_apgd_t": {"steps": 10, "targets": 3},
    "fab_t": {"steps": 5, "restarts": 1, "targets": 9},
    "square": {"queries": 50, "restarts": 1},
    "carlini_wagner": {"binary_search_steps": 2, "steps": 10},
    "ead": {"binary_search_steps": 2, "steps": 10},
    "gaussian_noise": {"repeats": 5},
    "salt_and_pepper": {"steps": 10},
    "brendel_bethge": {"steps": 10},
}
"""Short settings of every attack."""


@functools.cache
def digits(n: int = 40) -> tuple[Tensor, Tensor]:
    """The first images (n, 1, 8, 8) in [0, 1] of the second half of scikit-learn's digits, and their labels."""
    images, labels = load_digits(return_X_y=True)
    images, labels = images[899 : 899 + n], labels[899 : 899 + n]
    return torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(labels)


@functools.cache
def _trained() -> nn.Sequential:
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images[:899] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(labels[:899])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
        optimizer = torch.optim.Adam(model.parameters(), 0.005)
        for _ in range(120):
            noisy = (x + 0.1 * torch.randn_like(x).sign()).clamp(0, 1)
            loss = F.cross_entropy(model(noisy), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def trained() -> nn.Sequential:
    """A small convolutional net trained on noisy digits: about 90 % right, half broken by the radii here."""
    return copy.deepcopy(_trained())


def suite(*attacks: str, batch_size: int = 16, **changes) -> Suite:
    """A suite of short attacks, each written `name norm`."""
    entries = [{"attack": a.split()[0], "norm": a.split()[1], **ENTRIES[a.split()[0]]} for a in attacks]
    return Suite.model_validate({"attacks": entries, "batch_size": batch_size, "n": None, "seed": 0, **changes})


def record(clean: str, columns: dict[str, str], **changes) -> Record:
    """A record written by hand: columns by `name norm`."""
    radii = changes.pop("radii", {"linf": "0.1", "l1": "1.0", "l2": "0.4"})
    entries = changes.pop("entries", [])
    attacks = [
        AttackRecord(
            name=name.split()[0],
            norm=name.split()[1],
            radius=radii[name.split()[1]],
            correct=column,
            rejected=0,
            forwards=10,
        )
        for name, column in columns.items()
    ]
    given = {
        "schema": 1,
        "dataset": "digits",
        "split": "test",
        "method": "sat",
        "seed": 0,
        "suite": "apgd",
        "profile": "standard",
        "n": len(clean),
        "indices": list(range(len(clean))),
        "clean": clean,
        "attacks": attacks,
        "flags": [],
        "timing": {},
        "provenance": {"code": "c", "params": {"suite": {"attacks": entries}}},
    }
    return Record.model_validate({**given, **changes})
