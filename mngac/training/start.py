"""The classifier of another training that one goes on from, and what it had cost: fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from mngac import tensors
from mngac.models import weights
from mngac.models.files import Architecture, architecture_of
from mngac.params.errors import UserError
from mngac.pipeline.fingerprint import file_digest
from mngac.results.costs import SUMMED, read_cost


@dataclass(frozen=True)
class Start:
    """A classifier file, and the train.json of its training."""

    method: str
    path: str
    training: Mapping[str, Any]

    @classmethod
    def of(cls, method: str, path: str, training: str) -> Start:
        """The start of a method's files.

        Raises:
            RecordError: for a train.json of another form.
        """
        return cls(method, path, read_cost(training))

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
        """A train.json with its start: what that was and cost, null where it is not known.

        Attacks and additional images of either training are the classifier's; whether it was attacked is unknown where
        its start's training is, and it was not itself.

        Args:
            own: what the fine-tuning itself was, and cost.
        """
        attacked = [own["attacked"], self.training.get("attacked")]
        known = self.training.get("seconds") is not None  # or nothing was trained there
        return {
            **own,
            "attacked": True if True in attacked else None if None in attacked else False,
            "additional_images": max(own["additional_images"], self.training.get("additional_images", 0)),
            "start": {"method": self.method, **{key: self.training.get(key) if known else None for key in SUMMED}},
        }
