"""What surrounds a stage's function: errors kept in its log, and a way to stop it."""

from __future__ import annotations

import contextlib
import importlib
import re
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mngac.params.errors import UserError, visible
from mngac.params.modules import told
from mngac.pipeline.progress import TIME, Log
from mngac.pipeline.stopping import Stopped

FAILED = re.compile(r"failed(?: \(key (?P<key>[0-9a-f]{12})\))?: ")
"""How the last line of a log begins, after its time, where the stage failed; and which key it was making."""
STOPPED = re.compile(r": (stopped|to be continued); ")
"""What it says where somebody stopped the stage."""


def last_line(log: str | Path) -> str:
    """The last line of a log, without its time; empty where there is none."""
    path = Path(log)
    if not path.is_file():
        return ""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return visible(TIME.sub("", lines[-1]).strip()) if lines else ""


def function_of(name: str) -> Callable[..., Any]:
    """What `module:function` names."""
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)


@contextlib.contextmanager
def errors_in(log: Log, key: str) -> Iterator[None]:
    """Keeps in the log what ends the stage: one line of what the user can mend, the traceback of all else.

    Args:
        log: of the job.
        key: what it makes.
    """
    failed = f"failed (key {key[:12]}):"
    try:
        yield
    except UserError as error:
        log.keep(f"{failed} {error.in_full}")
        raise
    except Exception as error:
        log.keep(traceback.format_exc().rstrip())
        log.keep(f"{failed} {told(error)}")
        raise


@contextlib.contextmanager
def placed(work: Path) -> Iterator[None]:
    """Names the folder in an error of the system that names no file, such as that of a disk that is full."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(work)
        raise


@contextlib.contextmanager
def stoppable(who: str, work: Path, log: Log) -> Iterator[None]:
    """Where somebody stops the stage: one line in its log, and on the way out, on what is saved and how to resume."""
    try:
        yield
    except KeyboardInterrupt as stop:
        by = stop.by if isinstance(stop, Stopped) else signal.SIGINT
        how = "to be continued" if by == signal.SIGALRM else "stopped"
        saved = str(stop) or ("what was finished is saved" if any(path.is_file() for path in work.iterdir()) else "")
        then = f"{saved}, and the same command resumes from there" if saved else "the same command starts it again"
        text = f"{who}: {how}; {then}"
        log.keep(text)
        raise Stopped(text, by) from None
