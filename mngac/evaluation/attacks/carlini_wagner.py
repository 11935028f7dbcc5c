"""carlini_wagner: Adam on distance plus weighted logit margin, in l_2."""

import foolbox
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Carlini and Wagner 2017, section V.A; without early abort, which would make an image depend on its batch."""
    search = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=config.binary_search_steps, steps=config.steps, abort_early=False
    )
    return perturb(search, "l2", classifier, x, y, target)
