"""A section of params.yaml with every key optional: what somebody states in place of a whole one's values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from mngac.params.types import Closed


def partial(model: type[BaseModel], name: str = "", base: type[Closed] = Closed) -> type[BaseModel]:
    """The same section with every key optional.

    It is derived from the full section, so that a key, its type and its description are stated once. Its defaults of
    None are never read: who merges takes only what was set, and validates the whole as a full section again.

    Args:
        model: the full section; sections in it become partial too.
        name: of the new class; the model's with Override behind it where none is given.
        base: of what the new class is a kind.
    """
    fields: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Closed):
            kind = partial(kind)
        rest = [m for m in field.metadata if m is not None]
        typed = Annotated[(kind, *rest)] if rest else kind
        fields[key] = (typed, Field(default=None, description=field.description))
    return create_model(name or f"{model.__name__}Override", __base__=base, __doc__=model.__doc__, **fields)
