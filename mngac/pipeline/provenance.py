"""Where a record comes from: key, code, parameters, commit, versions, device. Loads without torch."""

from __future__ import annotations

import importlib.metadata
import subprocess
from typing import TYPE_CHECKING, Any

from mngac.pipeline import code
from mngac.pipeline.cache import key_of
from mngac.pipeline.fingerprint import ROOT

if TYPE_CHECKING:
    from mngac.params.sections import Suite


def commit() -> str:
    """The repository's commit, with `+` where the work tree differs; `unknown` outside a checkout."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


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
        "commit": commit(),
        "versions": {name: importlib.metadata.version(name) for name in parts["versions"]},
        "device": device,
    }
