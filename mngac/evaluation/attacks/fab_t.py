"""fab_t: the targeted Fast Adaptive Boundary attack, which looks for the nearest boundary, as AutoAttack runs it."""

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.autoattack import autoattack, perturb
from mngac.evaluation.targets import targets_at_most
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """FAB-T (Croce and Hein 2020, Minimally distorted adversarial examples, section 2; targets as in AutoAttack)."""
    part = autoattack(classifier, target).fab
    count = targets_at_most(config.targets, target)
    return perturb(
        part, x, y, target, targeted=True, n_iter=config.steps, n_restarts=config.restarts, n_target_classes=count
    )
