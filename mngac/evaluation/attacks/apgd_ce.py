"""apgd_ce: Auto-PGD on cross-entropy, with the large radii first on l_1, as AutoAttack runs it."""

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.autoattack import autoattack, iterations, perturb
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """APGD-CE (Croce and Hein 2020; for l_1 2021)."""
    part = autoattack(classifier, target).apgd
    return perturb(part, x, y, target, loss="ce", n_restarts=config.restarts, **iterations(config.steps))
