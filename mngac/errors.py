"""What the user can mend: told in one line, with status 2. All else that is raised is a bug and keeps its traceback."""

from __future__ import annotations

import json

LONGEST = 80
"""Characters of a value that a line shows."""


class UserError(ValueError):
    """One line on what is wrong, and what is allowed: the base of every error that the user can mend."""


def shown(value: object) -> str:
    """A value as a line shows it: JSON where it has such a form, without line breaks, cut short."""
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        text = " ".join(type(value).__name__.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
