"""pgd: the training attack with evaluation's step counts, for l_inf and l_2. A monitor, not a measurement."""

from torch import Tensor

from mngac.attacks.pgd import Attack, Classifier
from mngac.evaluation.acceptance import Target
from mngac.evaluation.until_broken import pgd_until_broken
from mngac.params.errors import UserError
from mngac.params.sections import AttackConfig
from mngac.params.types import number
from mngac.streams import stream


def attack(classifier: Classifier, x: Tensor, y: Tensor, target: Target, config: AttackConfig) -> Tensor:
    """PGD from a uniform start in the ball (Madry et al. 2018).

    Raises:
        UserError: for l_1, whose step needs a number of coordinates: pgd_l1.
    """
    if target.norm == "l1":
        raise UserError("pgd has no l_1 form; use pgd_l1, which states the share of coordinates that a step moves")
    length = number(config.step_size) * target.radius
    training_attack = Attack(target.norm, target.radius, length, config.steps)
    return pgd_until_broken(classifier, x, y, training_attack, stream(target.seed, "pgd", device=x.device))
