"""The section `hypotheses`: which methods are tested against which, by what, and what counts as no difference."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mngac.params.types import Closed, Name


class Pair(Closed):
    """A method and the one that its union is held against, seed by seed."""

    method: Name
    """A method of the run."""
    against: Name
    """Another method of the run."""


class Hypothesis(Closed):
    """Pairs of methods whose unions are compared together: their p-values are corrected for each other."""

    suite: Name
    """Attack suite: a name of `run.suites`."""
    profile: Name
    """Radii: a name of `run.profiles`."""
    pairs: Annotated[list[Pair], Field(min_length=1)]
    """What is compared."""
    equivalence: Annotated[float, Field(gt=0, le=100)] | None
    """Equivalence margin in points of union: a difference whose 90 % interval lies within plus and minus it does not
    matter (two one-sided tests at 5 %). null: no pair is called equal."""
