"""carlini_wagner: Adam on distance plus weighted logit margin, in l_2."""

import foolbox
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.params.sections import SuiteAttack


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, settings: SuiteAttack) -> Tensor:
    """Carlini and Wagner 2017, section V.A; without early abort, which would make an image depend on its batch."""
    search = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=settings.binary_search_steps, steps=settings.steps, abort_early=False
    )
    return perturb(search, "l2", classifier, x, y, target)
