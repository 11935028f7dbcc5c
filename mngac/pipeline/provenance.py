"""Where a record comes from: key, code, parameters, commit, versions, device. Loads without torch."""

from __future__ import annotations

import subprocess
from typing import Any

from mngac.pipeline.cache import key_of
from mngac.pipeline.fingerprint import ROOT


def commit() -> str:
    """The repository's commit, with `+` where the work tree differs; `unknown` outside a checkout."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(key: str, parts: dict[str, Any], device: str) -> dict[str, Any]:
    """A record's provenance from the parts of its key.

    `code` leaves the classifier's model out, so that tables can compare it between models.
    """
    attacks = {entry["attack"] for entry in parts["params"]["suite"]["attacks"]}
    code = {r: digest for r, digest in parts["code"].items() if r.startswith("mngac.evaluation.") or r in attacks}
    return {
        "key": key,
        "code": key_of(code),
        "params": parts["params"],
        "commit": commit(),
        "versions": parts["versions"],
        "device": device,
    }
