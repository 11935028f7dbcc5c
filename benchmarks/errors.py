"""How a benchmark ends: with status 0, or with 2 and one line on what the user can mend."""

from __future__ import annotations

import sys
from collections.abc import Callable

from mngac.params.errors import UserError


def status_of(run: Callable[[], None]) -> int:
    """0; 2 where the user can mend what is wrong, with one line that says what."""
    try:
        run()
    except (UserError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0
