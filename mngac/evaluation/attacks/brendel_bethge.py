"""brendel_bethge: along the decision boundary towards the image, from another image of the evaluation.

A loop over images on the CPU, compiled in each process at first use (35 to 65 s a norm), then 1.6 to 2.9 ms an image
and step: give the suite several `processes`.
"""

import warnings
from typing import Any

import foolbox
import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.data.pixels import as_unit
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.norms import LP
from mngac.params.sections import AttackConfig

CLASSES: dict[str, Any] = {
    "linf": foolbox.attacks.LinfinityBrendelBethgeAttack,
    "l2": foolbox.attacks.L2BrendelBethgeAttack,
    "l1": foolbox.attacks.L1BrendelBethgeAttack,
}
TRUST = 1e-3


NOWHERE = "no image of the evaluation, or of its block, is put in another class, so there is nowhere to start from"


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Brendel et al. 2019, algorithm 1.

    Foolbox multiplies the trust region by the number of images in the batch; dividing by it here makes an image's
    result independent of its batch.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = CLASSES[target.norm](steps=config.steps, lr=TRUST / len(x))
    points = starting_points(classifier, x, y, target)
    return perturb(search, target.norm, classifier, x, y, target, starting_points=points)


@torch.no_grad()
def starting_points(classifier: Classifier, x: Tensor, y: Tensor, target: Target) -> Tensor:
    """For each image the nearest one of the evaluation, in the target's norm, that is put in another class.

    Raises:
        ValueError: where there is none.
    """
    if target.pool is None:
        raise ValueError("brendel_bethge starts from other images; the target brings none")
    images = target.pool.images.to(x.device)
    images = as_unit(images)
    distances = torch.cdist(x.flatten(1), images.flatten(1), p=LP[target.norm].p)
    same = target.pool.predictions.to(x.device)[None] == y[:, None]
    if same.all(1).any():
        raise ValueError(NOWHERE)
    # What was predicted in the evaluation's own batches may be rounded otherwise in this one: a point that turns out to
    # be of the image's own class gives way to the next nearest.
    ranked = distances.masked_fill(same, torch.inf).argsort(1)
    rank = torch.zeros_like(y)
    while True:
        points = images[ranked.gather(1, rank[:, None])[:, 0]]
        useless = classifier(points).argmax(1) == y
        if not useless.any():
            return points
        if (rank[useless] + 1 >= len(images)).any():
            raise ValueError(NOWHERE)
        rank = rank + useless.long()
