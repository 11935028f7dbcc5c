"""apgd_t: Auto-PGD on the targeted difference of logits ratio, class after class, as AutoAttack runs it."""

from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.autoattack import autoattack, iterations, perturb
from mngac.evaluation.targets import targets_at_most
from mngac.params.errors import UserError
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """APGD-T (Croce and Hein 2020, equation 6; for l_1 2021, with the large radii first).

    Raises:
        UserError: below four classes, for which the loss is not defined.
    """
    if target.classes < 4:
        raise UserError(f"apgd_t needs at least 4 classes, found {target.classes}; use apgd_ce and fab_t")
    part = autoattack(classifier, target).apgd_targeted
    count = targets_at_most(config.targets, target)
    steps = iterations(config.steps)
    return perturb(part, x, y, target, n_restarts=config.restarts, n_target_classes=count, **steps)
