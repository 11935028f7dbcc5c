"""fab_t: the targeted Fast Adaptive Boundary attack, which looks for the nearest boundary, as AutoAttack runs it."""

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.autoattack import autoattack, perturb, targets_at_most
from mngac.params.sections import SuiteAttack


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, settings: SuiteAttack) -> Tensor:
    """FAB-T (Croce and Hein 2020, Minimally distorted adversarial examples, section 2; targets as in AutoAttack)."""
    part = autoattack(classifier, target).fab
    count = targets_at_most(settings.targets, target)
    return perturb(
        part, x, y, target, targeted=True, n_iter=settings.steps, n_restarts=settings.restarts, n_target_classes=count
    )
