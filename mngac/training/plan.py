"""What is trained: the resolved parameters of one training, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from torch import Tensor

from mngac.attacks.pgd import Attack
from mngac.params.sections import MethodConfig, Radii, Suite
from mngac.params.training import Schedule, Training
from mngac.params.types import NORMS, number
from mngac.pipeline.cache import key_of


@dataclass(frozen=True)
class Plan:
    """What is trained: the resolved section `training`, the radii of its attacks, the method's entry, seed, device.

    `selection` is the suite that epochs are compared by, where the training keeps the best; `comparison` the one by
    which the method itself compares classifiers. `code` is a digest of what trains, where no key of a cache has it.
    """

    training: Training
    radii: Radii
    method: MethodConfig
    seed: int
    device: str = "cpu"
    selection: Suite | None = None
    comparison: Suite | None = None
    code: str | None = None

    def identity(
        self, data: str, network: Mapping[str, Any], labels: Mapping[str, Tensor], start: str | None = None
    ) -> str:
        """Which checkpoint is its own: a digest of what the plan reads, on data of this digest.

        Args:
            data: the data set's digest.
            network: what the classifier is built from.
            labels: int64 (n,) of the images beside the labelled ones, by their split.
            start: the digest of the classifier that it goes on from, if any.
        """
        training = self.training.read_on(self.device)
        if "unlabelled" not in labels:
            del training["semi"]
        stated: dict[str, Any] = {
            "network": dict(network),
            "radii": self.radii.model_dump(),
            "method": self.method.model_dump(exclude={"training"}),
        }
        for name, suite in (("selection", self.selection), ("comparison", self.comparison)):
            if suite is not None:
                stated[name] = suite.model_dump(exclude={"processes", "shards"})
        for name, text in (("start", start), ("code", self.code)):
            if text is not None:
                stated[name] = text
        told = {name: sha256(each.numpy().tobytes()).hexdigest() for name, each in labels.items()}
        return key_of({"training": training, "device": self.device, "seed": self.seed, **stated, "data": data, **told})


def training_attacks(training: Training, radii: Radii) -> dict[str, Attack]:
    """The training attack of each norm, step sizes turned from shares of the radius into lengths."""
    attacks: dict[str, Attack] = {}
    for norm in NORMS:
        config, radius, kind = training.attack.of(norm), number(getattr(radii, norm)), training.attack.kind_in(norm)
        top = getattr(config, "top", 1)
        attacks[norm] = Attack(norm, radius, number(config.step_size) * radius, config.steps, top, kind)
    return attacks


def steps_of_an_epoch(training: Training, images: int, semi: bool) -> int:
    """Batches of an epoch over so many labelled images, with pseudo-labelled ones beside them where `semi`."""
    stated = training.semi.steps_per_epoch if semi else None
    return stated or training.steps_per_epoch or -(-images // training.batch_size)


def learning_rate(schedule: Schedule, epoch: float, epochs: int) -> float:
    """The rate at a fractional epoch: 0 -> peak at `peak_epoch`, then -> 0 at the end, or a tenth at each drop."""
    if epoch < schedule.peak_epoch:
        return schedule.peak * epoch / schedule.peak_epoch
    if schedule.drops is not None:
        return schedule.peak / 10 ** sum(drop <= epoch for drop in schedule.drops)
    return schedule.peak * (epochs - epoch) / max(epochs - schedule.peak_epoch, 1e-9)
