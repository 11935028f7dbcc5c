"""batched_apgd_ce: the project's own Auto-PGD on cross-entropy, from many starts, broken images let go."""

from torch import Tensor

from mngac.attacks.apgd import Problem
from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.apgd_until_broken import apgd_until_broken
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """APGD-CE (Croce and Hein 2020; for l_1 2021, with the large radii first)."""
    problem = Problem(classifier, target.norm, target.radius, config.steps)
    return apgd_until_broken(problem, x, y, y.expand(config.restarts, -1), target.seed)
