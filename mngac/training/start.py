"""The classifier of another training that one goes on from, and what it had cost: fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mngac import tensors
from mngac.models import weights
from mngac.models.files import Architecture, architecture_of
from mngac.params.errors import UserError
from mngac.pipeline.fingerprint import file_digest
from mngac.pipeline.paths import trained_wildcards
from mngac.results.records import read_cost

SUMMED = ("images_seen", "seconds", "process_seconds", "flops", "forward_passes")
"""Of train.json, what a fine-tuned classifier cost in all: its start's and its own."""


@dataclass(frozen=True)
class Start:
    """A classifier file, and the train.json of its training."""

    path: str
    training: Mapping[str, Any]

    @classmethod
    def of(cls, path: str, training: str) -> Start:
        """The start of these files.

        Raises:
            RecordError: for a train.json of another form.
        """
        return cls(path, read_cost(training))

    @property
    def digest(self) -> str:
        """Of the file: which classifier it is."""
        return file_digest(self.path)

    def put(self, classifier: nn.Module, architecture: Architecture) -> None:
        """Puts its weights and running statistics into a classifier of the same architecture.

        Raises:
            UserError: for a file of another architecture, or one that is damaged or not finite.
        """
        found = architecture_of(self.path)
        if found != architecture:
            raise UserError(f"{self.path}: found {found}; allowed: {architecture}, which is fine-tuned")
        weights.put(classifier, tensors.read(self.path)[0], self.path, found.model)

    def added_to(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """A train.json with the start's: costs in all, and the start's beside them; null where either is unknown.

        Attacks and additional images of either training are the classifier's.

        Args:
            own: what the fine-tuning itself was, and cost.
        """
        before = {key: self.training.get(key) for key in SUMMED}
        total = {key: None if None in (own[key], value) else own[key] + value for key, value in before.items()}
        attacked = [own["attacked"], self.training.get("attacked")]
        return {
            **own,
            **total,
            "attacked": True if True in attacked else own["attacked"],
            "additional_images": max(own["additional_images"], self.training.get("additional_images", 0)),
            "start": {"method": (trained_wildcards(self.path) or {}).get("method", Path(self.path).name), **before},
        }
