"""soup: classifiers that go on from the same one against a norm each, their weights mixed by validation.

Croce, Rebuffi, Shelhamer and Gowal, CVPR 2023 (arXiv 2302.10164): on the way between fine-tuned robust classifiers lie
others, each with robustness of its own against all of their norms.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step
from mngac.models.weights import copied, twin


class Method(Base):
    """After the last epoch w = sum_i s_i w_i, over the start and the classifier of each of the entry's norms.

    The shares s are those in steps of 1 / `grid` whose mixture has the best union on validation images under `suite`.
    Until then the classifier is the one of the first norm; the others are trained beside it, on the same batches.
    """

    def initialise(self, classifier: nn.Module) -> None:
        """Copies the start for each further norm."""
        self.start = copied(classifier)
        self.others = nn.ModuleList(twin(classifier) for _ in self.config.norms[1:])
        self.optimizers = [self.setup.optimizer(other.parameters()) for other in self.others]
        self.shares: dict[str, float] = {}

    def networks(self) -> Sequence[nn.Module]:
        """The classifiers of the further norms."""
        return list(self.others)

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The first norm's; the others take their own steps."""
        first, *further = self.config.norms
        for norm, other, optimizer in zip(further, self.others, self.optimizers, strict=True):
            optimizer.descend(self._attacked(other, batch, step, norm), step.learning_rate)
        return self._attacked(classifier, batch, step, first)

    def _attacked(self, classifier: nn.Module, batch: Batch, step: Step, norm: str) -> Tensor:
        x_adv = self.attack(classifier, batch, step, norm, self.config.attack_mode)
        return F.cross_entropy(classifier(x_adv), batch.y)

    def after_epoch(self, classifier: nn.Module, epoch: int) -> None:
        """After the last one the classifier becomes the best mixture; of several with an equal union the most even."""
        if epoch + 1 < self.setup.epochs:
            return
        ingredients = [self.start, copied(classifier), *map(copied, self.others)]
        best = max(
            shares_in_steps(len(ingredients), self.config.grid),
            key=lambda shares: self._union(classifier, ingredients, shares),
        )
        classifier.load_state_dict(mixture(ingredients, best))
        self.replaced = True
        self.shares = dict(zip(("start", *self.config.norms), best, strict=True))

    def _union(
        self, classifier: nn.Module, ingredients: Sequence[Mapping[str, Tensor]], shares: Sequence[float]
    ) -> float:
        classifier.load_state_dict(mixture(ingredients, shares))
        return self.setup.union_of(classifier, self.config.suite)

    def state_dict(self) -> dict[str, Any]:
        """The further classifiers and their optimizers; the start is what the training started from."""
        return {
            "others": self.others.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.others.load_state_dict(state["others"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)

    def diagnostics(self) -> dict[str, float]:
        """The shares of the mixture, once there is one."""
        return {f"share_{name}": share for name, share in self.shares.items()}


def shares_in_steps(count: int, steps: int) -> list[tuple[float, ...]]:
    """All shares of so many classifiers in steps of 1 / `steps` that add up to 1, the most even ones first."""
    whole = [each for each in itertools.product(range(steps + 1), repeat=count) if sum(each) == steps]
    even = sorted(whole, key=lambda each: sum(part**2 for part in each))
    return [tuple(part / steps for part in each) for each in even]


@torch.no_grad()
def mixture(ingredients: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Weights and running statistics: the ingredients' mean by their shares. Counts of batches are the last one's."""
    mixed = {name: torch.zeros_like(value) for name, value in ingredients[-1].items()}
    for name, value in mixed.items():
        if value.is_floating_point():
            for share, each in zip(shares, ingredients, strict=True):
                value.add_(each[name], alpha=share)
        else:
            value.copy_(ingredients[-1][name])
    return mixed
