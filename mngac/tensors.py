"""Safetensors files that say what they are, in bytes that repeat.

The facts stand in one metadata entry as JSON: safetensors writes several entries in an order of its own. A file is read
without trust: the library bounds its header (100 MB) and holds every tensor to the file's bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mngac.params.errors import UserError, cut, shown
from mngac.pipeline.atomic import atomic

SCHEMA = 1


class TensorFileError(UserError):
    """One line on why a file of tensors can't be read or written."""


def write(path: str | Path, tensors: Mapping[str, Tensor], **about: Any) -> None:
    """Writes tensors atomically, on the CPU and in plain memory order, with the facts about them.

    Raises:
        TensorFileError: where there is no room for it.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"schema": SCHEMA, **about})
    try:
        with atomic(path) as temporary:
            save_file(plain, temporary, metadata={"mngac": text})
    except SafetensorError as error:
        mend = "free space or choose another place, then run again"
        raise TensorFileError(f"{path}: {cut(str(error))}; {mend}") from error


def facts(path: str | Path) -> dict[str, Any]:
    """The facts about the tensors; empty for a file that something else wrote.

    Raises:
        TensorFileError: for a file that is no whole safetensors file.
    """
    with _opened(path) as file:
        try:
            about = json.loads((file.metadata() or {}).get("mngac", "{}"))
        except (ValueError, RecursionError) as error:
            raise _broken(path, "what it says of itself is no JSON") from error
    if not isinstance(about, dict):
        raise _broken(path, "what it says of itself is no dictionary")
    return about


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, by memory map, and the facts about them.

    Raises:
        TensorFileError: for a file that is no whole safetensors file, is of another schema, or something else wrote.
    """
    about = facts(path)
    check_schema(path, about)
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def check_schema(path: str | Path, about: Mapping[str, Any]) -> None:
    """Refuses facts of another version.

    Raises:
        TensorFileError: for another schema, or none.
    """
    if about.get("schema") != SCHEMA:
        found = f"schema {shown(about.get('schema'))}; this version reads schema {SCHEMA}"
        raise TensorFileError(f"{path}: {found}; make it again with this version")


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    if Path(path).is_fifo():
        raise _broken(path, "a pipe")
    with open(path, "rb"):
        pass  # what the system says of a file has a number here, and none from safetensors
    try:
        with safe_open(path, "pt") as file:
            yield file
    except SafetensorError as error:
        raise _broken(path, cut(str(error))) from error


def _broken(path: str | Path, why: str) -> TensorFileError:
    return TensorFileError(f"{path}: not a whole safetensors file ({why}); get or make it again")
