"""The attack suites that the package ships, for callers without a params.yaml: the section `evaluation` of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mngac.params.checks import check_entry, load, section
from mngac.params.errors import ParamsError, listed, shown
from mngac.params.sections import Params, Radii, Suite
from mngac.params.shipped import shipped
from mngac.params.types import NORMS


@functools.cache
def defaults() -> Params:
    """The parameters that the package ships."""
    return load(str(shipped("params.yaml")))


def suite_of(suite: Suite | str) -> Suite:
    """A suite as given, or the shipped one of that name.

    Raises:
        ParamsError: for any other name, or no name; for an attack that is unknown or has other keys than it reads.
    """
    if isinstance(suite, Suite):
        for i, attack in enumerate(suite.attacks):
            check_entry(f"suite.attacks.{i}", "evaluation/attacks", "attack", attack)
        return suite
    if not isinstance(suite, str) or suite not in defaults().evaluation:
        raise ParamsError(
            f"suite: found {shown(suite)}; allowed: one of {listed(defaults().evaluation, suite)}, or a Suite"
        )
    return defaults().evaluation[suite]


def radii_of(suite: Suite, radii: Radii | Mapping[str, str | float]) -> Radii:
    """Radii as given, or of a mapping that names each norm that the suite attacks; others may be left out.

    Raises:
        ParamsError: for an unknown norm, a radius that is no positive number or fraction, or one that is missing.
    """
    if isinstance(radii, Radii):
        return radii
    if not isinstance(radii, Mapping):
        raise ParamsError(f'radii: found {shown(radii)}; allowed: Radii, or a mapping such as {{"linf": "8/255"}}')
    for norm in NORMS:
        if norm in suite.norms and norm not in radii:
            raise ParamsError(f"radii.{norm}: missing; allowed: a number or fraction, since the suite attacks {norm}")
    unused: dict[str, str | float] = {norm: 1.0 for norm in NORMS if norm not in suite.norms}
    return section("radii", Radii, {**unused, **radii})
