"""Files of the project that are no Python: beside the package in a checkout, inside it where a wheel was installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
INSIDE = PACKAGE / "shipped"
"""Where setup.py puts them into a wheel."""


def is_checkout() -> bool:
    """Whether the package runs from a checkout, or an editable installation of one."""
    return not INSIDE.is_dir()


def shipped(name: str) -> Path:
    """A file or folder by its path in the repository, such as `params.yaml` or `workflow/report`."""
    return (PACKAGE.parent if is_checkout() else INSIDE) / name


def overlay_file(path: str) -> str:
    """A file of `params/` where it is; where there is none, that of the package, such as `params/paper.yaml`."""
    packaged = shipped(path) if Path(path).parts[:1] == ("params",) else None
    return str(packaged) if packaged and packaged.is_file() and not Path(path).exists() else path


def commit() -> str:
    """The commit of the package's code, with `+` where its work tree differs; `unknown` where nobody noted it."""
    return commit_in(PACKAGE.parent) if is_checkout() else shipped("commit").read_text(encoding="utf-8").strip()


def commit_in(folder: Path) -> str:
    """The commit of the repository that a folder lies in, with `+` where its work tree differs; `unknown` in none."""
    describe = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
