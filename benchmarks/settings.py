"""What a training benchmark runs: a model and images of a size, every other number from params.yaml."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from mngac.data.store import DataSet, Split, empty_like
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.registry import find
from mngac.params.sections import Params
from mngac.streams import stream
from mngac.training.plan import Plan
from mngac.training.trainer import Trainer

ROOT = Path(__file__).parent.parent
NAME = "benchmark"


@dataclass(frozen=True)
class Settings:
    """Of one training benchmark."""

    model: str = "wrn_10_2"
    batch: int = 64
    image_size: int = 32
    channels: int = 3
    classes: int = 10
    precision: str = "float32"
    layout: str | None = None
    """As `training.layout`; None: the default."""
    compile: bool | None = None
    """As `training.compile`; None: the default."""
    device: str = "cpu"
    threads: int = 1
    turns: int = 5
    seed: int = 0
    attack_steps: tuple[int, int, int] | None = None
    """Of linf, l1, l2; None: the paper's, as in training.default."""

    @property
    def top(self) -> int:
        """Coordinates of an l_1 step: those that numpy's percentile 99 leaves, 31 at 3 x 32 x 32."""
        count = self.channels * self.image_size**2
        return count - 1 - int(0.99 * (count - 1))

    def params(self) -> Params:
        """params.yaml with a training of these settings.

        Raises:
            ParamsError: for a model, layout or precision that it does not know.
        """
        raw = yaml.safe_load((ROOT / "params.yaml").read_text())
        training: dict[str, Any] = {
            "model": self.model,
            "batch_size": self.batch,
            "precision": {"cpu": self.precision, "cuda": self.precision},
            "monitor": {"images": 1, "steps": 1},
            "attack": {"l1": {"top": self.top}},
        }
        for norm, steps in zip(("linf", "l1", "l2"), self.attack_steps or (), strict=False):
            training["attack"].setdefault(norm, {})["steps"] = steps
        for key in ("layout", "compile"):
            if getattr(self, key) is not None:
                training[key] = getattr(self, key)
        raw["training"][NAME] = training
        raw["data"][NAME] = raw["data"]["digits"]
        raw["radii"]["standard"][NAME] = raw["radii"]["standard"]["cifar10"]
        return parse(raw)

    def plan(self, method: str, norms: list[str] | None = None) -> Plan:
        """What a method trains, with these norms alone where they are given."""
        params = self.params()
        if method not in params.methods:
            raise ParamsError(f"--methods: found {method}; allowed: {', '.join(params.methods)}")
        entry = params.methods[method]
        entry = entry.model_copy(update={"norms": norms}) if norms else entry
        training = params.training_for(NAME, method)
        return Plan(training, params.radii_for(training.profile, NAME), entry, self.seed, self.device)

    def data(self) -> DataSet:
        """Random images, four batches of them."""
        draws = stream(self.seed, "benchmark")
        count = 4 * self.batch
        shape = (count, self.channels, self.image_size, self.image_size)
        images = torch.randint(256, shape, dtype=torch.uint8, generator=draws)
        labels = torch.randint(self.classes, (count,), generator=draws)
        train = Split(images, labels, torch.arange(count))
        one = Split(images[:1], labels[:1], torch.arange(1))
        splits = {"train": train, "validation": one, "unlabelled": empty_like(images), "test": one}
        return DataSet(splits, [str(k) for k in range(self.classes)], NAME)

    def trainer(self, method: str, norms: list[str] | None = None) -> Trainer:
        """The project's own training of a method."""
        return Trainer(self.data(), self.plan(method, norms), Path(tempfile.gettempdir(), "mngac-benchmark"))

    def kinds(self, method: str) -> list[list[str] | None]:
        """The norms to measure a method with: each by itself where it draws one, else its own together."""
        entry = self.plan(method).method
        draws = find("methods", entry.kind).load().draws_a_norm
        return [[norm] for norm in entry.norms or []] if draws else [None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that make up settings."""
    default = Settings()
    parser.add_argument("--model", default=default.model, help=f"classifier (default: {default.model})")
    parser.add_argument("--batch", type=int, default=default.batch, help="images in a batch")
    parser.add_argument("--image-size", type=int, default=default.image_size, help="height and width in pixels")
    parser.add_argument("--channels", type=int, default=default.channels)
    parser.add_argument("--classes", type=int, default=default.classes)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default=default.precision, help="ours")
    parser.add_argument("--layout", help="ours, as training.layout")
    parser.add_argument("--compile", action="store_true", default=None, help="ours, as training.compile")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default.device)
    parser.add_argument("--threads", type=int, default=default.threads)
    parser.add_argument("--turns", type=int, default=default.turns, help="times that each side is timed")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument(
        "--attack-steps", type=int, nargs=3, metavar=("LINF", "L1", "L2"), help="by default the paper's"
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Settings as the command line states them."""
    stated = {name: value for name, value in vars(arguments).items() if name in Settings.__dataclass_fields__}
    steps = stated.pop("attack_steps")
    return replace(Settings(**stated), attack_steps=tuple(steps) if steps else None)
