"""`mngac.attack`: adversarial images of one attack in one ball."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mngac.api.given import device_of, whole
from mngac.attacks.pgd import Classifier
from mngac.data.pixels import as_unit
from mngac.evaluation.acceptance import TOLERANCE, Target
from mngac.evaluation.isolated import isolated
from mngac.evaluation.loop import check_images, check_range
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.tasks import guarded
from mngac.models.frozen import frozen_weights
from mngac.norms import LP
from mngac.params.checks import check_entry, section
from mngac.params.errors import UserError, shown
from mngac.params.extras import missing
from mngac.params.registry import find
from mngac.params.sections import AttackConfig, Radii
from mngac.params.types import NORMS, Norm, number

USUAL = {"batched_apgd_ce": {"steps": 100, "restarts": 1}}
"""Settings of a kind where none are given."""


def attack(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    norm: Norm,
    radius: str | float,
    *,
    kind: str = "batched_apgd_ce",
    device: str | torch.device = "cpu",
    batch_size: int = 500,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """Moves images, within a ball around each, to where the classifier errs or its loss is highest.

    Where an attack returns what lies outside the ball or [0, 1], or is not finite, the image comes back unmoved.
    Nothing is counted here: `mngac.evaluate` is what robust accuracy is measured with.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), on the device, in the
            mode in which it is to be attacked (`eval()`).
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,), the true classes.
        norm: linf, l1 or l2.
        radius: of the ball, on images in [0, 1], such as "8/255" or 0.5.
        kind: an evaluation attack of the package, such as batched_apgd_ce, batched_apgd_t, square or fab_t, or
            `package.module:function` of one's own.
        device: where batches are put.
        batch_size: images attacked at a time.
        seed: of the attack's randomness.
        settings: just the keys that the kind reads, as in a suite; batched_apgd_ce takes 100 steps and 1 restart where
            none are given.

    Returns:
        float32 (n, channels, height, width) in [0, 1], on the CPU, each within `radius` of its image.

    Raises:
        AttackFailed: where the attack or the classifier raises, with the images' positions.
        UserError: for an unknown norm or kind, settings that it does not read or misses, a radius that is no positive
            number or, of linf, above 1, images or labels of another type, shape or range, and a kind whose package is
            not installed.
    """
    check_images(images, labels)
    where, count = device_of(device), whole("batch_size", batch_size, 1)
    if not isinstance(norm, str) or norm not in LP:
        raise UserError(f"norm: found {shown(norm)}; allowed: {', '.join(LP)}")
    if "attack" in settings:
        raise UserError(f"attack: found {shown(settings['attack'])}; allowed: kind={shown(settings['attack'])}")
    size = number(getattr(section("radius", Radii, {**dict.fromkeys(NORMS, 1), norm: radius}), norm))
    config = section("attack", AttackConfig, {**(settings or USUAL.get(kind, {})), "attack": kind, "norm": norm})
    check_entry("attack", "evaluation/attacks", "attack", config)
    try:
        run = find("evaluation/attacks", kind).load()
    except ModuleNotFoundError as error:
        raise UserError(missing(error)) from error
    moved = []
    with frozen_weights(classifier), torch.no_grad():
        logits, y = classifier(as_unit(images[:1].to(where))), labels.to(where)
        if logits.dim() != 2:
            raise UserError(f"classifier: found an output of {tuple(logits.shape)}; allowed: logits (batch, classes)")
        check_range(labels, logits.shape[1])
        target = Target(norm, size, logits.shape[1], whole("seed", seed, 0), where)
        for start in range(0, len(labels), count):
            positions = list(range(start, min(start + count, len(labels))))
            x = as_unit(images[positions].to(where))
            with guarded(f"{kind} {norm}", positions), isolated(seed), reproducible(tensor_float32=False):
                with torch.enable_grad():
                    found = run(classifier, x, y[positions], target, config)
                moved.append(_within(x, found.detach().float(), target).cpu())
    return torch.cat(moved)


def _within(x: Tensor, found: Tensor, target: Target) -> Tensor:
    """What was found where it is finite, in [0, 1] and in the ball; the images elsewhere."""
    valid = ((found >= 0) & (found <= 1)).flatten(1).all(1)  # what is not finite is not
    valid &= LP[target.norm].size((found - x).nan_to_num()) <= target.radius * (1 + TOLERANCE)
    return torch.where(valid.view(-1, 1, 1, 1), found, x)
