"""Training logs: a line an epoch. Loads without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError, cut
from mngac.pipeline.paths import trained


def read_log(dataset: str, method: str, seed: int) -> list[dict[str, Any]]:
    """The lines of one training's train.jsonl; none where it has not been trained.

    Raises:
        UserError: for a file that is damaged.
    """
    path = Path(trained(dict(dataset=dataset, method=method, seed=str(seed))), "train.jsonl")
    lines = path.read_bytes().splitlines() if path.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: a line is no JSON ({cut(str(error))}); delete it, and train puts it back") from error
