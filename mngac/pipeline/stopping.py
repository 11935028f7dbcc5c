"""Being stopped: by Ctrl-C, by SIGTERM, which Slurm and containers send, or because the time that was given is over.

At the first of them a stage that is at work says where it may stop (`gently`), saves, and ends; elsewhere it ends at
once. A second Ctrl-C ends it wherever it is; a second SIGTERM does not: Slurm sends it itself and by way of srun.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGALRM: 75}
"""Of the process, by what stopped it; 75 says to be continued (EX_TEMPFAIL)."""


class Stopped(KeyboardInterrupt):
    """Somebody stops the process: nothing that catches exceptions should catch it."""

    def __init__(self, saved: str = "", by: int = signal.SIGINT):
        """
        Args:
            saved: what of the work is saved, in a few words.
            by: the signal that stops it.
        """
        super().__init__(saved)
        self.by = by

    @property
    def status(self) -> int:
        """The process's exit status."""
        return STATUS[signal.Signals(self.by)]


_asked: int | None = None
"""The signal that came within `gently`, and waits there."""
_gentle = 0


def heed(minutes: float | None = None) -> None:
    """Lets this process be stopped as the module says; for the main thread.

    Args:
        minutes: after which it stops by itself.
    """
    for number in STATUS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as a shell sets it for what runs in the background
            signal.signal(number, _on_signal)
    if minutes is not None:
        signal.setitimer(signal.ITIMER_REAL, max(60 * minutes, 1e-3))


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _asked
    if _gentle and _asked is None:
        _asked = number
    elif _gentle and number == _asked == signal.SIGTERM:
        return
    else:
        raise Stopped(by=number)


@contextlib.contextmanager
def gently() -> Iterator[None]:
    """Within the block a signal waits for `wanted` to be asked; a second one does not, but for SIGTERM."""
    global _gentle, _asked
    _gentle += 1
    try:
        yield
    finally:
        _gentle -= 1
        if not _gentle:
            _asked = None


def wanted() -> int | None:
    """The signal that waits."""
    return _asked
