"""The section `certificates`: in which balls, and how, bounds of a classifier's margins are computed."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, field_validator

from mngac.params.types import Closed, Norm, Positive, Ratio, number


class CertificateConfig(Closed):
    """One kind of certificate, in balls of a profile's radii and smaller ones."""

    method: Literal["crown_ibp", "crown"]
    """Bounds of the margins: CROWN, with the bounds of layers by CROWN too (crown) or by intervals (crown_ibp): faster,
    and far looser."""
    norms: Annotated[list[Norm], Field(min_length=1)]
    """Norms of the balls. With all three, an image is certified in their union too."""
    factors: Annotated[list[Ratio], Field(min_length=1)]
    """Radii of the balls as shares of the profile's, rising: an image that is not certified in one ball of a norm is
    not asked about the larger ones."""
    n: Positive | None
    """Images asked about, the first ones of the split; null: all."""
    batch_size: Positive
    """Images whose bounds are computed at a time: on a CPU few, whose matrices fit into its caches, are faster."""

    @field_validator("norms")
    @classmethod
    def _different(cls, norms: list[Norm]) -> list[Norm]:
        if len(set(norms)) < len(norms):
            raise ValueError("no norm twice")
        return norms

    @field_validator("factors")
    @classmethod
    def _rising(cls, factors: list[str | float]) -> list[str | float]:
        values = [number(factor) for factor in factors]
        if any(high <= low for low, high in itertools.pairwise(values)):
            raise ValueError("numbers that rise")
        return factors
