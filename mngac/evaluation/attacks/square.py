"""square: random search over squares of pixels, without gradients, as AutoAttack runs it.

Thousands of sequential forward passes: for a GPU or few images.
"""

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.autoattack import autoattack, perturb
from mngac.params.sections import AttackConfig

BLACK_BOX = True


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Square Attack (Andriushchenko et al. 2020, algorithms 1 to 3; for l_1 Croce and Hein 2021)."""
    part = autoattack(classifier, target).square
    return perturb(part, x, y, target, n_queries=config.queries, n_restarts=config.restarts)
