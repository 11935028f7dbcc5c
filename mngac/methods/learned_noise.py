"""What a method with a noise generator keeps beside its algorithm: the network, its optimizer, state, diagnostics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mngac.methods.base import Base, Setup
from mngac.methods.generator_diagnostics import Diagnostics, MetaStep
from mngac.models.frozen import frozen_statistics
from mngac.models.noise_generator import NoiseGenerator
from mngac.params.sections import MethodConfig
from mngac.streams import stream_seed


class LearnedNoise(Base):
    """A method whose `loss` also moves a noise generator, and leaves in `last` what that step did."""

    def __init__(self, config: MethodConfig, setup: Setup, *, input_dependent: bool):
        super().__init__(config, setup)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(setup.seed, "generator weights"))
            self.generator = NoiseGenerator(setup.channels, input_dependent)
        self.generator.to(setup.device)
        self.optimizer = setup.optimizer(self.generator.parameters())
        self.diagnosed = Diagnostics(self.generator, setup.weight_decay, setup.vectors_decay)
        self.last: MetaStep | None = None

    def looked_ahead(
        self, classifier: nn.Module, view: Tensor, y: Tensor, x_adv: Tensor, learning_rate: float
    ) -> Tensor:
        """The meta loss on x_adv after a virtual step of the classifier on a view: a scalar."""
        raise NotImplementedError

    def watch(self, classifier: nn.Module) -> None:
        """Compares the generator's noise with other noise, on the steps on which that is due."""
        seen, self.last = self.last, None
        if seen is None or not self.diagnosed.due(seen.attack.norm, seen.step.learning_rate):
            return

        def worth(view: Tensor) -> Tensor:
            return self.looked_ahead(classifier, view, seen.batch.y, seen.x_adv, seen.step.learning_rate)

        with frozen_statistics(classifier, "train"):
            self.diagnosed.note(classifier, seen, worth)

    def diagnostics(self) -> dict[str, float]:
        """Angle to the first weights in degrees; means by norm since the last call (see `Diagnostics.note`)."""
        return {f"generator_{name}": value for name, value in self.diagnosed.means().items()}

    def artifact(self) -> dict[str, Tensor]:
        """The generator's weights."""
        return {name: value.detach().cpu().contiguous() for name, value in self.generator.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Generator, its optimizer, and its diagnostics' first weights and counts."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "diagnosed": self.diagnosed.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.diagnosed.load_state_dict(state["diagnosed"])
