"""What a training was and cost, from its train.json. Loads without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mngac.params.errors import shown
from mngac.results.json_file import RecordError, read_json
from mngac.results.parts import Cost
from mngac.results.record_file import explained

SUMMED = ("images_seen", "seconds", "process_seconds", "flops", "forward_passes")
"""What a fine-tuned classifier cost in all: its start's and its own."""
VARYING = ("seconds", "process_seconds", "images_per_second", "device")
"""What differs between equal trainings."""


def read_cost(path: str | Path) -> dict[str, Any]:
    """Reads a train.json.

    Raises:
        RecordError: for a file of another form.
    """
    allowed = "a train.json as mngac train writes it"
    content = read_json(path, allowed)
    if not isinstance(content, dict):
        raise RecordError(f"{path}: found {shown(content)}; allowed: {allowed}")
    try:
        Cost.model_validate(content)
    except ValidationError as error:
        raise explained(path, error) from None
    return content


def in_all(cost: Mapping[str, Any], key: str) -> float | None:
    """What a classifier cost, with that of the classifier it was fine-tuned from; None where either is not known."""
    parts = [cost, *([cost["start"]] if cost.get("start") else [])]
    values = [part.get(key) for part in parts]
    return None if None in values else sum(values)


def repeating_digest(path: str | Path) -> str:
    """SHA-256 of what a train.json says beside times: equal for equal trainings.

    Raises:
        RecordError: as for `read_cost`.
    """

    def without_times(part: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in part.items() if key not in VARYING}

    cost = read_cost(path)
    # An imported classifier took no time, and one whose time is lost is not the same.
    said = {**without_times(cost), "trained": in_all(cost, "seconds") is not None}
    said |= {"start": without_times(said["start"])} if said.get("start") else {}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
