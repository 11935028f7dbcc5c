"""batched_apgd_t: the project's own Auto-PGD on targeted margins, class after class, broken images let go."""

import torch
from torch import Tensor

from mngac.attacks.apgd import Problem, targeted_margin
from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.apgd_until_broken import apgd_until_broken
from mngac.evaluation.targets import targets_at_most
from mngac.params.sections import AttackConfig


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """APGD-T (Croce and Hein 2020; for l_1 2021, with the large radii first), the likeliest classes first."""
    problem = Problem(classifier, target.norm, target.radius, config.steps, targeted_margin)
    with torch.no_grad():
        others = classifier(x).scatter(1, y[:, None], -torch.inf)
    aims = others.topk(targets_at_most(config.targets, target), dim=1).indices
    return apgd_until_broken(problem, x, y, aims.T, target.seed)
