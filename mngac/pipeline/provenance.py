"""Where a record comes from: key, code, parameters, commit, versions, device. Loads without torch."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mngac
from mngac.params.shipped import PACKAGE, commit, commit_in, is_checkout
from mngac.pipeline import code
from mngac.pipeline.cache import key_of

if TYPE_CHECKING:
    from mngac.params.sections import Suite


def origin() -> dict[str, str]:
    """The commit of this package; of a project outside its checkout also the package's version, and its own commit."""
    if is_checkout() and Path.cwd().resolve() == PACKAGE.parent.resolve():
        return {"commit": commit()}
    return {"commit": commit(), "mngac": mngac.__version__, "project": commit_in(Path.cwd())}


def provenance(key: str, parts: dict[str, Any], device: str, suite: Suite) -> dict[str, Any]:
    """A record's provenance from the parts of its key.

    `code` is the digest of what measured alone: no refactoring of what lies around it makes a record worthless.
    """
    return provenance_of(key, parts, device, code.measuring(suite))


def provenance_of(key: str, parts: dict[str, Any], device: str, measuring: list[str]) -> dict[str, Any]:
    """The same, with what measured named: modules of the key's code."""
    measured = {root: parts["code"][root] for root in measuring}
    return {
        "key": key,
        "code": key_of(measured),
        "params": parts["params"],
        **origin(),
        "versions": {name: importlib.metadata.version(name) for name in parts["versions"]},
        "device": device,
    }
