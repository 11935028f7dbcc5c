"""A training step of each method of params.yaml on a device, and what a step needs: classifier, batch, method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from helpers import raw_params
from torch import nn

from mngac.methods.base import Base, Batch, Setup, Step
from mngac.models.files import Architecture
from mngac.params.checks import parse
from mngac.params.registry import find
from mngac.params.sections import MethodConfig, Params
from mngac.training.plan import training_attacks

PARAMS: Params = parse(raw_params())
TRAINED = [
    name
    for name, entry in PARAMS.methods.items()
    if entry not in list(PARAMS.methods.values())[: list(PARAMS.methods).index(name)]
]
"""Methods of params.yaml, but for those that state the same as another."""
STEPS = 1
"""Steps of each attack: the others do the same again."""


def setup(device: str, steps: int = STEPS) -> Setup:
    """What the default training gives to a method, with short attacks."""
    training = PARAMS.training.default
    attacks = training_attacks(training, PARAMS.radii_for(training.profile, "cifar10"))
    short = {norm: replace(attack, steps=steps) for norm, attack in attacks.items()}
    return Setup(short, 3, device, 0, training.momentum, training.weight_decay)


def classifier(model: str, device: str) -> nn.Module:
    """A classifier of ten classes with fresh weights, on the device, in train mode."""
    with torch.device(device):
        return Architecture(model, 10, 3, 32).build().train()


def batch(size: int, device: str) -> Batch:
    """Images and labels, the same on every device."""
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(size, 3, 32, 32, generator=draws).contiguous(memory_format=torch.channels_last)
    return Batch(x.to(device), torch.randint(10, (size,), generator=draws).to(device))


def method(config: MethodConfig, device: str, **changes: Any) -> Base:
    """The method of an entry."""
    return find("methods", config.kind).load()(config.model_copy(update=changes), setup(device))


class Training:
    """A method, a classifier, its optimizer and a batch on a device, and the steps that they take."""

    def __init__(self, trained: Base, network: nn.Module, images: Batch):
        self.method, self.classifier, self.batch = trained, network, images
        self.device = trained.setup.device
        trained.initialise(network)
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.0005)

    def step(self, number: int) -> None:
        """One step: loss, backward, a look at it, and the optimizer's step."""
        loss = self.method.loss(self.classifier, self.batch, Step(number, 0.1, 0, self.device))
        self.optimizer.zero_grad()
        loss.backward()
        self.method.watch(self.classifier)
        self.optimizer.step()
