"""pgd_l1: top-k PGD in l_1. A monitor: classifiers keep twice the accuracy under it that they keep under APGD."""

import math

from torch import Tensor

from mngac.attacks.pgd import Attack, Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.until_broken import pgd_until_broken
from mngac.params.errors import UserError
from mngac.params.sections import AttackConfig
from mngac.params.types import number
from mngac.streams import stream


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """PGD whose step moves a share of the coordinates, rounded up (Maini et al. 2020).

    Raises:
        UserError: for another norm.
    """
    if target.norm != "l1":
        raise UserError(f"pgd_l1 is made for l1, not for {target.norm}")
    top = math.ceil(number(config.top_share) * x[0].numel())
    length = number(config.step_size) * target.radius
    training_attack = Attack("l1", target.radius, length, config.steps, top)
    return pgd_until_broken(classifier, x, y, training_attack, stream(target.seed, "pgd", device=x.device))
