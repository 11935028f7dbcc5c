"""Training logs: a line an epoch. Loads without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mngac.pipeline.paths import trained


def read_log(dataset: str, method: str, seed: int) -> list[dict[str, Any]]:
    """The lines of one training's train.jsonl; none where it has not been trained."""
    path = Path(trained(dict(dataset=dataset, method=method, seed=str(seed))), "train.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
