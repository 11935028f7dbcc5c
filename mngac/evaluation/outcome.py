"""What one attack did to one image: the one meaning that goes from the acceptance test to the record."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """held: still classified correctly; broken: adversarial; rejected: misclassified, but not in the ball."""

    HELD = "held"
    BROKEN = "broken"
    REJECTED = "rejected"

    @property
    def mark(self) -> str:
        """The record's character for it: `0` broken, `1` still correct; a rejected output breaks nothing."""
        return "0" if self is Outcome.BROKEN else "1"
