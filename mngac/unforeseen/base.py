"""What an unforeseen attack is: a budget in words, columns of images, and what became of the images of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mngac.evaluation.outcome import Outcome
from mngac.evaluation.tasks import Runner
from mngac.params.sections import Radii
from mngac.params.unforeseen import Unforeseen, UnforeseenAttack


@dataclass(frozen=True)
class About:
    """What is attacked, as far as it decides what an attack does."""

    dataset: str
    shape: tuple[int, int, int]
    """Channels, height and width of an image."""
    classes: int
    radii: Radii
    entry: Unforeseen


class Attack(ABC):
    """An attack, made of its entry; its constructor refuses what cannot be before anything is computed."""

    def __init__(self, config: UnforeseenAttack, about: About):
        self.config, self.about = config, about

    @property
    @abstractmethod
    def budget(self) -> str:
        """What it may do to an image, with units."""

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """Names of what it measures apart; its accuracy is their mean. Empty where there is nothing to measure."""

    @abstractmethod
    def images(self, column: str, correct: Tensor) -> tuple[int, list[int]]:
        """How many images a column has, and the positions of those that are asked about.

        Args:
            column: one of `columns`.
            correct: bool (n,), which images of the split are correct without attack.
        """

    @abstractmethod
    def outcomes(self, column: str, positions: list[int], runner: Runner) -> tuple[list[Outcome], int]:
        """What became of each image of a batch, and how many images were passed through the classifier.

        Args:
            column: one of `columns`.
            positions: of the images, among the column's.
            runner: `asked` for the search and `judge` for the verdict, and the images of the split.
        """
