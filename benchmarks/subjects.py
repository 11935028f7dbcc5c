"""Whom evaluations are timed on: a trained classifier and its images, or an untrained one and random images."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.data import store
from mngac.models.files import Architecture, load_classifier
from mngac.params.checks import load
from mngac.params.sections import Radii
from mngac.pipeline.paths import data_path
from mngac.streams import stream


@dataclass(frozen=True)
class Subject:
    """A classifier, images with labels, and the radii of its data set."""

    classifier: Classifier
    images: Tensor
    labels: Tensor
    radii: Radii
    name: str

    def few(self) -> Subject:
        """The same with eight images, to warm up with: imports and first calls are no attack's."""
        return replace(self, images=self.images[:8], labels=self.labels[:8])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that say whom."""
    parser.add_argument("--checkpoint", help="a classifier's file; by default an untrained --model on random images")
    parser.add_argument("--dataset", default="digits", help="of the checkpoint, and whose radii are taken")
    parser.add_argument("--data", help="its tensor file (default: data/<dataset>.safetensors)")
    parser.add_argument("--splits", nargs="+", default=["validation", "unlabelled"], help="whose images are attacked")
    parser.add_argument("--model", default="wrn_10_1", help="of the untrained one, at 3 x 32 x 32")
    parser.add_argument("--n", type=int, help="images, the first ones (default: all; 200 random ones)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)


def subject(a: argparse.Namespace) -> Subject:
    """Whom the options name; an untrained classifier's own predictions are taken for labels."""
    radii = load().radii_for("standard", a.dataset)
    if a.checkpoint is None:
        torch.manual_seed(0)
        classifier = Architecture(a.model, 10, 3, 32).build().to(a.device).eval()
        images = torch.randint(256, (a.n or 200, 3, 32, 32), dtype=torch.uint8, generator=stream(0, "benchmark"))
        with torch.no_grad():
            labels = classifier((images / 255).to(a.device)).argmax(1).cpu()
        return Subject(classifier, images, labels, radii, f"{a.model}, untrained")
    data = store.load(a.data or data_path(a.dataset))
    splits = [data.split(name) for name in a.splits]
    images, labels = (torch.cat([getattr(s, name) for s in splits])[: a.n] for name in ("images", "labels"))
    return Subject(load_classifier(a.checkpoint, a.device), images, labels, radii, str(Path(a.checkpoint)))
