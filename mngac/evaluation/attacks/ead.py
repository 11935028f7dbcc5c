"""ead: the elastic-net attack with the l_1 decision rule, by iterative shrinkage."""

import foolbox
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Chen et al. 2018, algorithm 1; without early abort, which would make an image depend on its batch."""
    search = foolbox.attacks.EADAttack(
        binary_search_steps=config.binary_search_steps, steps=config.steps, decision_rule="L1", abort_early=False
    )
    return perturb(search, "l1", classifier, x, y, target)
