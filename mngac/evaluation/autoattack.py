"""AutoAttack's parts (Croce and Hein 2020, 2021) through pyautoattack, one batch at a time.

A batch gets what the original gives to the same repacked batch: the same seed, set anew for each batch, and the same
settings. The global random generators are the caller's to isolate.
"""

from __future__ import annotations

import logging

import torch
from pyautoattack import AutoAttack
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target

NAMES = {"linf": "Linf", "l1": "L1", "l2": "L2"}


def autoattack(classifier: Classifier, target: Target) -> AutoAttack:
    """The standard version for the target's norm; its parts are attributes, ready to be narrowed.

    The standard version starts l_1 APGD from larger radii and has its own numbers of restarts and targets.
    """
    quiet = logging.getLogger("auto-attack")
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())
    return AutoAttack(
        classifier,
        norm=NAMES[target.norm],
        eps=target.radius,
        seed=target.seed,
        version="standard",
        device=target.device,
    )


@torch.no_grad()
def perturb(part: object, x: Tensor, y: Tensor, target: Target, **options: object) -> Tensor:
    """Runs one part on one batch, as the original does: seeded anew, without gradients outside the part.

    Raises:
        AttributeError: for a setting that the part does not have.
    """
    for name, value in {"seed": target.seed, **options}.items():
        if not hasattr(part, name):
            raise AttributeError(f"pyautoattack's {type(part).__name__} has no setting {name}")
        setattr(part, name, value)
    return part.perturb(x.contiguous(), y).detach()  # type: ignore[attr-defined]


def iterations(steps: int) -> dict[str, int]:
    """APGD's settings for a number of steps, which its checkpoints follow: at 22, 6 and 3 % of them."""
    spans = {"n_iter_2": 0.22, "n_iter_min": 0.06, "size_decr": 0.03}
    return {"n_iter": steps, "n_iter_orig": steps, **{name: max(int(s * steps), 1) for name, s in spans.items()}}
