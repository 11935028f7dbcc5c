"""What every method is given, and the parts that are empty for most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mngac.attacks.pgd import Attack
from mngac.attacks.training import attacked
from mngac.models.frozen import under_attack
from mngac.params.sections import MethodConfig
from mngac.sgd import SGD
from mngac.streams import stream


@dataclass(frozen=True)
class Batch:
    """Images (batch, channels, height, width) in [0, 1], labels (batch,)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Step:
    """Where training stands: step number, the scheduled learning rate, the seed of its random streams."""

    number: int
    learning_rate: float
    seed: int
    device: str

    def stream(self, name: str) -> torch.Generator:
        """The named random stream of this step, on the device."""
        return stream(self.seed, name, self.number, device=self.device)

    def host_stream(self, name: str) -> torch.Generator:
        """The same, on the CPU: for choices that the host makes."""
        return stream(self.seed, name, self.number)

    def draw(self, choices: list[Any], name: str = "norm") -> Any:
        """One of the choices, uniformly, without touching the device."""
        return choices[int(torch.randint(len(choices), (1,), generator=self.host_stream(name)))]


def _nothing_to_compare_on(classifier: nn.Module, suite: str) -> float:
    raise ValueError(f"{suite}: no validation images to compare classifiers on")


@dataclass(frozen=True)
class Setup:
    """What the training section and the data give to a method."""

    attacks: Mapping[str, Attack]
    """Training attack by norm."""
    channels: int
    device: str
    seed: int
    momentum: float
    weight_decay: float
    vectors_decay: bool = True
    """Whether weight decay is also on batch norms' weights and on biases."""
    epochs: int = 1
    """Of the training."""
    union_of: Callable[[nn.Module, str], float] = _nothing_to_compare_on
    """Union in percent of a classifier on validation images under a suite, which is the entry's `suite`."""

    def optimizer(self, weights: Iterable[Tensor]) -> SGD:
        """What moves weights as `training` says."""
        return SGD(weights, self.momentum, self.weight_decay, self.vectors_decay)


class Base:
    """A method without learned parts.

    A subclass defines `loss`; one that learns something beside the classifier also keeps and gives back its state.
    """

    trains = True
    """Whether there is anything to descend on."""
    replaced = False
    """Whether the last `after_epoch` put another classifier into the place of the one that was trained."""
    draws_a_norm = False
    """Whether each batch is attacked in one of the entry's `norms`, drawn for it: steps then take as long as theirs."""

    def __init__(self, config: MethodConfig, setup: Setup):
        self.config: Any = config  # an entry states exactly the keys that its kind reads, so none of them is None
        self.setup = setup

    def initialise(self, classifier: nn.Module) -> None:
        """Sets the classifier's first weights, where the method has its own; most keep the random ones."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The scalar to descend on; the classifier comes in train mode, and only its own passes move batch norm."""
        raise NotImplementedError

    def drawn(self, step: Step) -> str | None:
        """The norm that was drawn for a step; None where the method draws none."""
        return None

    def attack(self, classifier: nn.Module, batch: Batch, step: Step, norm: str, mode: str) -> Tensor:
        """x_adv of the norm's training attack; running statistics stay as they are."""
        with under_attack(classifier, mode):
            return attacked(classifier, batch.x, batch.y, self.setup.attacks[norm], step.stream(f"attack {norm}"))

    def watch(self, classifier: nn.Module) -> None:
        """Looks at what the last `loss` did, before the classifier moves; none of it counts as the method's cost."""

    def after_epoch(self, classifier: nn.Module, epoch: int) -> None:
        """Looks back on an epoch (0 is the first): a schedule of its own, an average of weights; empty for most.

        The epoch's monitor and checkpoint come after it. What it keeps, beside the classifier, is in `state_dict`.
        """

    def networks(self) -> Sequence[nn.Module]:
        """Networks that the method trains or asks beside the classifier: their passes belong to its cost."""
        return [value for value in vars(self).values() if isinstance(value, nn.Module)]

    def state_dict(self) -> dict[str, Any]:
        """What must be kept to resume; empty for most methods."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""

    def artifact(self) -> dict[str, Tensor]:
        """Tensors that the trained method leaves beside the classifier; empty for most methods."""
        return {}

    def diagnostics(self) -> dict[str, float]:
        """Numbers for the epoch's log line; empty for most methods."""
        return {}
