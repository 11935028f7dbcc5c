"""What is left of a record's union when its images are attacked again, round after round. Loads without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mngac.params.challenge import TRANSFER
from mngac.params.types import Norm
from mngac.results.parts import Label, Text
from mngac.results.record_file import read_as
from mngac.results.records import AttackRecord, Bits, Strict, worst_case

SCHEMA: Literal[1] = 1


class Round(Strict):
    """One suite with one seed of its attacks, on the images that every round before had left."""

    suite: Label
    """Its name, or `transfer`."""
    attack_seed: int
    attacks: list[AttackRecord]
    blind: list[bool]
    """For each attack, whether it does without the classifier's gradients: Square, another row's images."""
    flags: list[Text]

    @property
    def name(self) -> str:
        """The suite and its seed."""
        return self.suite if self.suite == TRANSFER else f"{self.suite}, seed {self.attack_seed}"


class Challenge(Strict):
    """The rounds after one record."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    dataset: Label
    split: Label
    method: Label
    seed: int
    suite: Label
    profile: Label
    n: Annotated[int, Field(ge=1)]
    attack_seed: int
    """Of the record."""
    norms: list[Norm]
    """Those that the record attacks, and the rounds too: `union` is over these."""
    standing: Bits
    """Per image: 1 where the record says correct, without attack and under each of its attacks."""
    rounds: list[Round]
    confirmation: list[AttackRecord]
    """What attacks with the classifier's gradients did to the images that only attacks without had broken."""
    timing: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _lengths(self) -> Challenge:
        attacks = [*(a for r in self.rounds for a in r.attacks), *self.confirmation]
        if any(len(column) != self.n for column in (self.standing, *(a.correct for a in attacks))):
            raise ValueError(f"a column that has not {self.n} images")
        if any(len(each.blind) != len(each.attacks) for each in self.rounds):
            raise ValueError("a round that does not say of each attack whether it is blind")
        return self

    def after(self, rounds: int) -> list[bool]:
        """Per image: correct after the record and so many rounds."""
        return left(self.standing, self.rounds[:rounds])

    @property
    def without_gradients(self) -> list[bool]:
        """Per image: broken by an attack without the classifier's gradients, and by none with them that was tried."""
        withstood = worst_case(*(a.correct for a in self.confirmation)) if self.confirmation else [False] * self.n
        return [a and b for a, b in zip(broken_blindly(self.rounds, self.n), withstood, strict=True)]

    @property
    def further_seeds(self) -> int:
        """How many rounds, the first ones, are of the record's own suite with further seeds."""
        return sum(each.suite == self.suite for each in self.rounds)

    @property
    def name(self) -> str:
        """Whose record was challenged."""
        return f"{self.dataset}/{self.method}/seed{self.seed}/{self.suite}-{self.profile}"


def left(standing: str, rounds: list[Round]) -> list[bool]:
    """Per image: standing at first, and not broken by any attack of the rounds."""
    broken = [a.correct.replace(".", "1") for each in rounds for a in each.attacks]
    return worst_case(standing, *broken)


def broken_blindly(rounds: list[Round], n: int) -> list[bool]:
    """Per image of n: broken in the rounds, by attacks without the classifier's gradients alone."""
    by = {True: [False] * n, False: [False] * n}
    for attack, blind in [pair for each in rounds for pair in zip(each.attacks, each.blind, strict=True)]:
        by[blind] = [known or mark == "0" for known, mark in zip(by[blind], attack.correct, strict=True)]
    return [blind and not seeing for blind, seeing in zip(by[True], by[False], strict=True)]


def read(path: str | Path) -> Challenge:
    """Reads the rounds after a record.

    Raises:
        RecordError: for another file, or what can't be printed.
    """
    return read_as(path, Challenge, "what mngac challenge writes", "challenge it anew")
