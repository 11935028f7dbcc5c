"""What an export is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngac.models.files import Architecture
from mngac.results.records import Record

WIDE_RESNET = re.compile(r"wrn_(\d+)_(\d+)")
"""Models that RobustBench's WideResNet is, by depth and width; with softplus they are another class."""


@dataclass(frozen=True)
class Export:
    """What is exported: the file, what it holds, its records with the leading one first, and what is known of it.

    `training` are the parameters under which the cache holds this very file, or None; `cost` is train.json beside it,
    or empty; `verified` says that the first images are classified as the leading record says.
    """

    checkpoint: Path
    architecture: Architecture
    records: list[Record]
    training: dict[str, Any] | None
    cost: dict[str, Any]
    verified: bool

    @property
    def leading(self) -> Record:
        """The record whose numbers stand in model_info.json."""
        return self.records[0]

    @property
    def name(self) -> str:
        """Such as `digits-mng_ac-seed0`."""
        return f"{self.leading.dataset}-{self.leading.method}-seed{self.leading.seed}"
