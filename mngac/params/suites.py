"""The attack suites that the package ships, for callers without a params.yaml: a copy of its section `evaluation`.

suites.yaml is generated from params.yaml by `make schema`; a test holds the two in step.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import yaml

from mngac.params.checks import check_entry, section
from mngac.params.errors import ParamsError, listed, shown
from mngac.params.sections import Params, Radii, Suite
from mngac.params.types import NORMS

FILE = Path(__file__).with_name("suites.yaml")
HEADER = "# The section `evaluation` of params.yaml, for use without it. Generated: edit that, then `make schema`.\n"


@functools.cache
def shipped() -> dict[str, Suite]:
    """The suites of suites.yaml, by name."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: section(f"suite {name}", Suite, entry) for name, entry in content.items()}


def suites_text(params: Params) -> str:
    """The text that suites.yaml must have."""
    content = {name: suite.model_dump(exclude_unset=True) for name, suite in params.evaluation.items()}
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)


def suite_of(suite: Suite | str) -> Suite:
    """A suite as given, or the shipped one of that name.

    Raises:
        ParamsError: for any other name, or no name; for an attack that is unknown or has other keys than it reads.
    """
    if isinstance(suite, Suite):
        for i, attack in enumerate(suite.attacks):
            check_entry(f"suite.attacks.{i}", "evaluation/attacks", "attack", attack)
        return suite
    if not isinstance(suite, str) or suite not in shipped():
        raise ParamsError(f"suite: found {shown(suite)}; allowed: one of {listed(shipped(), suite)}, or a Suite")
    return shipped()[suite]


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
