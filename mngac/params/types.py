"""What the values of params.yaml are made of: numbers with a range, names, norms; and a section that knows its keys."""

from __future__ import annotations

import re
from fractions import Fraction
from math import inf
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Norm = Literal["linf", "l1", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)


def _fraction(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError('a positive number or a fraction such as "8/255"')
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,18}/[1-9][0-9]{0,17}", value):
        raise ValueError('a positive number or a fraction such as "8/255"')
    if not 0 < number(value) < inf:
        raise ValueError('a positive number or a fraction such as "8/255"')
    return value if isinstance(value, str) else float(value)


def number(value: str | float) -> float:
    """The value of a radius or share as written: `"8/255"` or a number."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


Ratio = Annotated[
    str | float,
    BeforeValidator(_fraction),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "^\\d+/[1-9]\\d*$"}]}
    ),
]


def at_most_1(value: str | float) -> str | float:
    """A ratio of at most 1.

    Raises:
        ValueError: for a larger one.
    """
    if number(value) > 1:
        raise ValueError("at most 1, such as 8/255, since images lie in [0, 1]")
    return value


def _scalar(value: object) -> object:
    if not isinstance(value, (bool, int, float, str)) or value in (inf, -inf) or value != value:
        raise ValueError("a finite number, a text, true or false")
    return value


NAME = "^[a-z][a-z0-9_]*$"
LONGEST_NAME = 64
Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME)]
"""Of what params.yaml names: it stands in paths and commands, so it holds nothing that either would read otherwise."""
Place = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$")]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=10**18)]
Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
Share = Annotated[float, Field(ge=0, lt=1)]
UNSTATED: Any = None
"""Default of a key that only some kinds read; `check_entry` sees to it that those find it stated."""


class Closed(BaseModel):
    """A section that knows its keys and refuses all others; numbers must be numbers."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _pool(value: object) -> object:
    share = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
    if not share and not (isinstance(value, str) and value and value.isprintable()):
        raise ValueError("a share from 0 to under 1, extra, or the path of a folder, archive or .npy file of images")
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]


Pool = Annotated[
    str | float,
    BeforeValidator(_pool),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"type": "string"}]}),
]
