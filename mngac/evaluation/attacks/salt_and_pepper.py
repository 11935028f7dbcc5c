"""salt_and_pepper: more and more black and white pixels, measured in l_1."""

import foolbox
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.params.sections import AttackConfig

BLACK_BOX = True


class SaltAndPepperL1(foolbox.attacks.SaltAndPepperNoiseAttack):
    """Foolbox's attack, whose stock class measures l_2: at 2000/255 a far larger ball."""

    distance = foolbox.distances.l1


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Salt and pepper noise (Rauber et al. 2017), clipped to the l_1 ball."""
    return perturb(SaltAndPepperL1(steps=config.steps), "l1", classifier, x, y, target)
