"""batched_apgd_ce: the project's own Auto-PGD on cross-entropy, from many starts, broken images let go."""

from torch import Tensor

from mngac.attacks.apgd import Problem
from mngac.attacks.apgd_until_broken import apgd_until_broken
from mngac.attacks.pgd import Classifier
from mngac.attacks.target import Target
from mngac.params import SuiteAttack


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, settings: SuiteAttack) -> Tensor:
    """APGD-CE (Croce and Hein 2020; for l_1 2021, with the large radii first)."""
    problem = Problem(classifier, target.norm, target.radius, settings.steps)
    return apgd_until_broken(problem, x, y, y.expand(settings.restarts, -1), target.seed)
