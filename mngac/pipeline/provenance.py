"""Where a record comes from: key, code, parameters, commit, versions, device. Loads without torch."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

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


def measuring_code(suite: Suite) -> list[str]:
    """Modules that compute a suite's attacks and accept their results: where they are alike, records are comparable."""
    attacks = {f"mngac.evaluation.attacks.{config.attack}" for config in suite.attacks}
    return ["mngac.evaluation.acceptance", *sorted(attacks)]


def provenance(key: str, parts: dict[str, Any], device: str, suite: Suite) -> dict[str, Any]:
    """A record's provenance from the parts of its key.

    `code` is the digest of what measured alone: no refactoring of what lies around it makes a record worthless.
    """
    code = {root: parts["code"][root] for root in measuring_code(suite)}
    return {
        "key": key,
        "code": key_of(code),
        "params": parts["params"],
        "commit": commit(),
        "versions": parts["versions"],
        "device": device,
    }
