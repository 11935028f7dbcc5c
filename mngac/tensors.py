"""Safetensors files that say what they are, in bytes that repeat.

The facts stand in one metadata entry as JSON: safetensors writes several entries in an order of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mngac.params.errors import UserError
from mngac.pipeline.atomic import atomic

SCHEMA = 1


def write(path: str | Path, tensors: Mapping[str, Tensor], **about: Any) -> None:
    """Writes tensors atomically, on the CPU and in plain memory order, with the facts about them."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"schema": SCHEMA, **about})
    with atomic(path) as temporary:
        save_file(plain, temporary, metadata={"mngac": text})


def facts(path: str | Path) -> dict[str, Any]:
    """The facts about the tensors; empty for a file that something else wrote."""
    with safe_open(path, "pt") as file:
        about: dict[str, Any] = json.loads((file.metadata() or {}).get("mngac", "{}"))
        return about


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, by memory map, and the facts about them.

    Raises:
        UserError: for a file of another schema, or one that something else wrote.
    """
    about = facts(path)
    if about.get("schema") != SCHEMA:
        raise UserError(f"{path}: schema {about.get('schema')!r}; this version reads schema {SCHEMA}")
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
