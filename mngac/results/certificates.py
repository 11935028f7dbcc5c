"""What is certified of one classifier, and what attacks left, image by image and ball by ball. Loads without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mngac.params.types import NORMS, Norm
from mngac.results.parts import Label, Number, Text
from mngac.results.record_file import read_as
from mngac.results.records import DECIMAL, FRACTION, AttackRecord, Bits, Strict, worst_case

SCHEMA: Literal[1] = 1
UNION = "union"
Ratio = Annotated[str, Field(pattern=f"^({FRACTION}|{DECIMAL})$")]


class BallRecord(Strict):
    """One ball: `certified` holds 1 where no point of it is misclassified; the attacks were made in it, too."""

    norm: Norm
    factor: Ratio
    """Its radius as a share of the profile's, as written."""
    radius: Ratio
    certified: Bits
    attacks: Annotated[list[AttackRecord], Field(min_length=1)]

    @property
    def left(self) -> list[bool]:
        """Per image: correct under every attack; those that were wrong without one are not attacked, and not left."""
        return worst_case(*(attack.correct for attack in self.attacks))


class Certificates(Strict):
    """All balls of one classifier."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    dataset: Label
    split: Label
    method: Label
    seed: int
    certificate: Label
    profile: Label
    bounds: Label
    """How margins are bounded, such as `crown`."""
    suite: Label
    """Whose attacks these are."""
    n: Annotated[int, Field(ge=1)]
    indices: list[int]
    clean: Bits
    balls: Annotated[list[BallRecord], Field(min_length=1)]
    slack: Number
    """What a margin's lower bound must exceed, in logits."""
    rounding: Number
    """The largest difference between float32 and float64 that was measured, in logits."""
    flags: list[Text]
    """What makes the numbers doubtful, a line each."""
    timing: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _sound(self) -> Certificates:
        columns: list[Sequence[object]] = [self.indices, self.clean]
        columns += [column for b in self.balls for column in (b.certified, *(a.correct for a in b.attacks))]
        if any(len(column) != self.n for column in columns):
            raise ValueError(f"a column that has not {self.n} images")
        for ball in self.balls:
            wrong = contradiction(ball, self.clean, self.indices)
            if wrong:
                raise ValueError(f"bounds and attacks that agree, but {wrong}")
        return self

    @property
    def factors(self) -> list[str]:
        """Shares of the profile's radii, as written."""
        return list(dict.fromkeys(ball.factor for ball in self.balls))

    def norms(self) -> list[str]:
        """The norms of the balls."""
        return list(dict.fromkeys(ball.norm for ball in self.balls))

    def columns(self) -> list[str]:
        """What can be said: each norm, and the union where all norms have balls."""
        return [*self.norms(), *([UNION] if set(self.norms()) == set(NORMS) else [])]

    def certified(self, factor: str, column: str) -> list[bool]:
        """Per image: certified in the ball of a norm, or in all three; these are what no attack can break."""
        return worst_case(*(ball.certified for ball in self._balls(factor, column)))

    def left(self, factor: str, column: str) -> list[bool]:
        """Per image: correct under all attacks in the ball of a norm, or in all three."""
        return [all(image) for image in zip(*(ball.left for ball in self._balls(factor, column)), strict=True)]

    def radius(self, factor: str, norm: str) -> str:
        """The radius of a ball."""
        return self._balls(factor, norm)[0].radius

    def _balls(self, factor: str, column: str) -> list[BallRecord]:
        return [b for b in self.balls if b.factor == factor and column in (b.norm, UNION)]

    @property
    def name(self) -> str:
        """Whose certificates these are."""
        return f"{self.dataset}/{self.method}/seed{self.seed}/{self.certificate}-{self.profile}"


def contradiction(ball: BallRecord, clean: str, indices: Sequence[int]) -> str:
    """The first image that is certified and yet wrong, without attack or under one, in words; else empty.

    Args:
        ball: with a mark an image.
        clean: marks of the images without attack.
        indices: of the images in their split.
    """
    marks = zip(ball.certified, clean, *(attack.correct for attack in ball.attacks), indices, strict=True)
    for certified, clean_mark, *attacked, index in marks:
        if certified == "1" and (clean_mark, *attacked) != ("1",) * (1 + len(attacked)):
            names = ("clean", *(attack.name for attack in ball.attacks))
            by = next(name for name, mark in zip(names, (clean_mark, *attacked), strict=True) if mark != "1")
            return f"image {index} is certified and broken ({by}) at {ball.norm} {ball.radius}"
    return ""


def read(path: str | Path) -> Certificates:
    """Reads the certificates of one classifier.

    Raises:
        RecordError: for another file, one whose bounds and attacks contradict each other, or what can't be printed.
    """
    return read_as(path, Certificates, "what mngac certify writes", "certify it anew")
