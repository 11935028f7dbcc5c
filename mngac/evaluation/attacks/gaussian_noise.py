"""gaussian_noise: the best of many Gaussian draws on the l_2 sphere."""

import foolbox
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.foolbox import perturb
from mngac.params.sections import AttackConfig

BLACK_BOX = True


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """Repeated additive Gaussian noise of l_2 length `radius` before clipping to [0, 1] (Rauber et al. 2017)."""
    search = foolbox.attacks.L2RepeatedAdditiveGaussianNoiseAttack(repeats=config.repeats)
    return perturb(search, "l2", classifier, x, y, target)
