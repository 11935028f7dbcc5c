"""What is installed, in a file: what DVC's stages depend on in a project outside the package's checkout."""

from __future__ import annotations

import hashlib
import json

import mngac
from mngac.params.shipped import PACKAGE, commit
from mngac.pipeline.atomic import write_text

STATED = "mngac-package.json"
SUFFIXES = (".py", ".yaml", ".css", ".js", ".rst", ".smk")


def write_package() -> None:
    """Writes version, commit and a digest of the installed package's files."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    about = {"mngac": mngac.__version__, "commit": commit(), "files": digest.hexdigest()}
    write_text(STATED, json.dumps(about, indent=1) + "\n")
