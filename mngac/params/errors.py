"""What the user can mend: told in one line, with status 2. All else that is raised is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterable

LONGEST = 80
"""Characters of a value that a line shows."""
LONGEST_LIST = 160
"""Characters of a list of names that a line shows."""
LONGEST_LINE = 293
"""Characters of a line; with `mngac: ` before it 300."""
LONGEST_END = 110
"""Of them at the end, where a longer line says what to do."""
LONGEST_LOGGED = 4000
"""Characters of a line in a log."""
MOST_PARTS = 10_000
"""Parts of a value that are put in words at all: aliases make a short file mean billions."""


class UserError(ValueError):
    """One line on what is wrong, and what is allowed: the base of every error that the user can mend.

    As text it is cut to what a terminal shows.
    """

    def __str__(self) -> str:
        return line_of(super().__str__())

    @property
    def in_full(self) -> str:
        """The line for a log, of 4,000 characters at most."""
        return cut(super().__str__(), LONGEST_LOGGED)


class ParamsError(UserError):
    """One line on what is wrong with params.yaml or the command line: what was found, and what is allowed."""


class DataError(UserError):
    """One line on what is wrong with a data set: the file, what was found, what to do."""


def demand(condition: bool, path: str, found: object, allowed: str) -> None:
    """Refuses a value of params.yaml.

    Raises:
        ParamsError: where the condition does not hold: key path, what was found, what is allowed.
    """
    if not condition:
        raise ParamsError(f"{path}: found {shown(found)}; allowed: {allowed}")


def shown(value: object) -> str:
    """A value as a line shows it: JSON, or its type where it has no such form; cut short."""
    try:
        text = "".join(itertools.islice(json.JSONEncoder(default=str).iterencode(value), MOST_PARTS))
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return cut(text)


def cut(text: str, most: int = LONGEST) -> str:
    """The text in one line, its end left out where it is longer than `most` characters."""
    line = visible(" ".join(text[: 2 * most].split()))
    return line if len(line) <= most else f"{line[:most]}… ({len(text):,} characters)"


def visible(text: str) -> str:
    """The text with an escape such as `\\n` in place of what a terminal would not show, or would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line_of(text: str) -> str:
    """The text as one line: visible, its middle left out where it is too long, since its end says what to do."""
    line = visible(text)
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE - LONGEST_END - 3]} … {line[-LONGEST_END:]}"


def listed(names: Iterable[object], near: object = "") -> str:
    """Names joined by commas: as many as a line has room for, and where some are left out, how many there are.

    Args:
        names: in their order.
        near: what was found in place of one of them; where some are left out, those that resemble it come first.
    """
    every = [cut(str(name)) for name in names]
    if len(", ".join(every)) <= LONGEST_LIST:
        return ", ".join(every)
    ordered = [*dict.fromkeys([*difflib.get_close_matches(str(near)[:LONGEST], every), *every])]
    lengths = itertools.accumulate(len(name) + 2 for name in ordered)
    fitting = max(1, sum(length <= LONGEST_LIST for length in lengths))
    return f"{', '.join(ordered[:fitting])}, … ({len(every):,} in all)"
