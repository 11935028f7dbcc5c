"""A JSON file that somebody else may have written -> its content: bounded, and all of it text and finite numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError, cut
from mngac.pipeline.files import TO_DO

MOST_BYTES = 1 << 27
"""Of a file: a record of a million images under twenty attacks is a fifth of it."""


class RecordError(UserError):
    """One line on what is wrong with a record."""


def read_json(path: str | Path, allowed: str, content: bytes | None = None) -> Any:
    """Content of a JSON file, all of it text and finite numbers.

    Args:
        path: of the file; of an archive's member a name for it.
        allowed: what it should be, for the error.
        content: its bytes, where they were read already.

    Raises:
        RecordError: for a file that is missing, too large, or no such JSON.
    """
    try:
        if content is None:
            with open(path, "rb") as file:
                content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise RecordError(f"{path}: more than {MOST_BYTES:,} bytes; allowed: {allowed}")
        value = json.loads(content, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        return value
    except RecursionError:
        raise RecordError(f"{path}: nested too deeply; allowed: {allowed}") from None
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(f"{path}: {TO_DO.get(error.errno or 0, error)}; allowed: {allowed}") from None
    except json.JSONDecodeError as error:
        what = "ends too early" if error.pos >= len(error.doc.rstrip()) else "wrong"
        where = f"line {error.lineno}, column {error.colno}"
        raise RecordError(f"{path}: no JSON, {what} at {where}; allowed: {allowed}") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: no text in UTF-8, wrong at byte {error.start}; allowed: {allowed}") from None
    except ValueError as error:
        raise RecordError(f"{path}: {cut(str(error))}; allowed: {allowed}") from None


def _refuse(text: str) -> None:
    raise ValueError(f"found {text}, which is no number of JSON")
