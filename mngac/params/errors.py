"""What the user can mend: told in one line, with status 2. All else that is raised is a bug and keeps its traceback."""

from __future__ import annotations

import itertools
import json

LONGEST = 80
"""Characters of a value that a line shows."""
MOST_PARTS = 10_000
"""Parts of a value that are put in words at all: aliases make a short file mean billions."""


class UserError(ValueError):
    """One line on what is wrong, and what is allowed: the base of every error that the user can mend."""


class ParamsError(UserError):
    """One line on what is wrong with params.yaml or the command line: what was found, and what is allowed."""


class DataError(UserError):
    """One line on what is wrong with a data set: the file, what was found, what to do."""


def shown(value: object) -> str:
    """A value as a line shows it: JSON, or its type where it has no such form; cut short."""
    try:
        text = "".join(itertools.islice(json.JSONEncoder(default=str).iterencode(value), MOST_PARTS))
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return cut(text)


def cut(text: str, most: int = LONGEST) -> str:
    """The text in one line, its end left out where it is longer than `most` characters."""
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most else f"{line[:most]}… ({len(text):,} characters)"
