"""AutoAttack's parts (Croce and Hein 2020, 2021) through pyautoattack, one batch at a time.

A batch gets what the original gives to the same repacked batch: the same seed, set anew for each batch, and the same
settings. The global random generator is left as found.
"""

from __future__ import annotations

import torch
from pyautoattack import AutoAttack
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.attacks.target import Target

NAMES = {"linf": "Linf", "l1": "L1", "l2": "L2"}


def autoattack(classifier: Classifier, target: Target) -> AutoAttack:
    """The standard version for the target's norm; its parts are attributes, ready to be narrowed."""
    return AutoAttack(
        classifier,
        norm=NAMES[target.norm],
        eps=target.radius,
        seed=target.seed,
        version="standard",
        device=target.device,
    )


def perturb(part: object, x: Tensor, y: Tensor, target: Target, **settings: object) -> Tensor:
    """Runs one part on one batch, as the original does: seeded anew, and with the global generators isolated."""
    for name, value in {"seed": target.seed, **settings}.items():
        if not hasattr(part, name):
            raise AttributeError(f"pyautoattack's {type(part).__name__} has no setting {name}")
        setattr(part, name, value)
    devices = [torch.cuda.current_device()] if target.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        return part.perturb(x.contiguous(), y).detach()  # type: ignore[attr-defined]
