"""The section `attack_spaces`: the attacks over which a competitiveness ratio is taken, and whom it is held against."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mngac.params.types import Closed, Name, Norm


class AttackSpace(Closed):
    """Attacks of one suite: each norm of `specialists` at the radii of each of `profiles`."""

    suite: Name
    """Attack suite: a name of `run.suites`."""
    profiles: Annotated[list[Name], Field(min_length=1)]
    """Radii of the attacks, rising: names of `run.profiles`."""
    specialists: Annotated[dict[Norm, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1)]
    """By norm: for each profile the method of the run that is trained against that norm in that ball alone."""
    clean: Name | None = None
    """The method of the run that is trained without attacks: with it, clean images count as one more attack, as in
    MultiRobustBench's code; null: they do not."""

    @property
    def methods(self) -> dict[str, str]:
        """All denominators: the path of each below the space's entry, and its method."""
        named = {f"specialists.{norm}.{i}": m for norm, each in self.specialists.items() for i, m in enumerate(each)}
        return named | ({} if self.clean is None else {"clean": self.clean})
