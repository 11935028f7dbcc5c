"""corruptions: accuracy on the corrupted images of an archive of CIFAR-10-C's form; nothing is searched for.

A mean over corruptions and severities, no worst case: they are given, not chosen against a classifier.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from mngac.data.pixels import to_unit
from mngac.evaluation.acceptance import is_correct
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.tasks import Runner
from mngac.params.unforeseen import UnforeseenAttack
from mngac.unforeseen import base
from mngac.unforeseen.base import About
from mngac.unforeseen.corrupted import SEVERITIES, Corrupted


class Attack(base.Attack):
    """Hendrycks and Dietterich 2019, section 3: accuracy under each corruption at each of five severities."""

    def __init__(self, config: UnforeseenAttack, about: About):
        super().__init__(config, about)
        source = config.sources.get(about.dataset)
        self.archive = Corrupted(source, config.corruptions, about.shape, about.classes) if source else None

    @property
    def budget(self) -> str:
        """Such as `15 corruptions`."""
        count = len(self.config.corruptions)
        return f"{count} corruption{'s' if count > 1 else ''}, mean"

    @property
    def columns(self) -> Sequence[str]:
        """Such as `fog 3`; none for a data set without an archive."""
        names = self.config.corruptions if self.archive else []
        return [f"{name} {severity}" for name in names for severity in range(1, SEVERITIES + 1)]

    def images(self, column: str, correct: Tensor) -> tuple[int, list[int]]:
        """The first images of each severity, whatever becomes of them uncorrupted."""
        there = self.archive.images if self.archive else 0
        n = min(self.about.entry.n or there, there)
        return n, list(range(n))

    @torch.no_grad()
    def outcomes(self, column: str, positions: list[int], runner: Runner) -> tuple[list[Outcome], int]:
        """A pass: broken is what is not classified as its label."""
        images, labels = self._severity(column)
        x, y = to_unit(images[positions].to(runner.device)), labels[positions].to(runner.device)
        with reproducible(tensor_float32=False):
            correct = is_correct(runner.judge(x).float(), y).tolist()
        return [Outcome.HELD if held else Outcome.BROKEN for held in correct], len(positions)

    @functools.lru_cache(maxsize=1)  # noqa: B019 (one severity, for its batches; the attack lives as long as its job)
    def _severity(self, column: str) -> tuple[Tensor, Tensor]:
        name, severity = column.split()
        assert self.archive is not None
        return self.archive.read(name, int(severity))
