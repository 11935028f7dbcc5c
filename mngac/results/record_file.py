"""A file of a record's form -> its content, checked: one reader for all of them, whose errors are one line.

Loads without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from mngac.params.errors import shown
from mngac.params.yaml_file import key_path
from mngac.results.json_file import RecordError, read_json
from mngac.results.parts import Parts

Model = TypeVar("Model", bound=BaseModel)


def read_as(path: str | Path, model: type[Model], allowed: str, again: str, bytes_: bytes | None = None) -> Model:
    """Reads a file as what it should be.

    Args:
        path: of the file.
        model: with a field `schema_` (alias `schema`) of the one literal that this version reads, and with the free
            parts `timing` and `provenance`.
        allowed: what the file should be, such as `a record as mngac evaluate writes it`.
        again: how to get it, such as `evaluate it anew`.
        bytes_: of the file, where they were read already.

    Raises:
        RecordError: for a file that is missing or no JSON, another schema, a missing or unknown key, a part of another
            form, what the model refuses, or what can't be printed.
    """
    content = read_json(path, allowed, bytes_)
    (schema,) = get_args(model.model_fields["schema_"].annotation)
    found = content.get("schema") if isinstance(content, dict) else None
    if found != schema:
        raise RecordError(f"{path}: schema {shown(found)}; this version reads schema {schema}; {again}")
    try:
        Parts.model_validate({key: content.get(key) for key in Parts.model_fields})
        return model.model_validate(content)
    except ValidationError as error:
        raise explained(path, error, again) from None


def explained(path: str | Path, error: ValidationError, again: str = "evaluate it anew") -> RecordError:
    """The first thing that is wrong with a file, in one line, and what to do."""
    first = error.errors(include_url=False)[0]
    where = ": ".join(filter(None, [str(path), key_path(*first["loc"])]))
    message = first["msg"].removeprefix("Value error, ")
    found = f"found {shown(first['input'])}; allowed: " if first["type"] == "value_error" and first["loc"] else ""
    return RecordError(f"{where}: {found}{message}; get it again, or {again}")
