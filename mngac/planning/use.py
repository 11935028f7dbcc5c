"""`mngac use`: an overlay written into params.yaml, whose comments and form stay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mngac.params.overlay import BASE, laid
from mngac.pipeline.atomic import atomic
from mngac.pipeline.cache import differences


def use(file: str) -> list[str]:
    """Lays an overlay over params.yaml and writes that, whole or not at all; `path: old -> new` of each change.

    Raises:
        ParamsError: where the whole would be wrong; nothing is written then.
    """
    found = laid(file)
    changes = differences(found.base, found.whole)
    if changes:
        _write(found.whole)
    return changes


def committed() -> bool:
    """Whether git can give params.yaml back as it was committed; no where there is no git, or no commit of it."""
    if not shutil.which("git"):
        return False
    return not subprocess.run(["git", "cat-file", "-e", f"HEAD:./{BASE}"], capture_output=True).returncode


def _write(whole: Mapping[str, Any]) -> None:
    """Writes params.yaml in the form that DVC gives it (`make format`)."""
    from dvc.utils.serialize import modify_yaml  # half a second, for those who write alone

    with atomic(BASE) as temporary:
        temporary.write_bytes(Path(BASE).read_bytes())
        with modify_yaml(str(temporary)) as content:
            _set(content, whole)


def _set(content: Any, wanted: Mapping[str, Any]) -> None:
    """Makes a mapping of ruamel's say what is wanted; what it says already stays as it stands."""
    for key, value in wanted.items():
        if key in content and isinstance(value, Mapping) and isinstance(content[key], Mapping):
            _set(content[key], value)
        elif key not in content:
            # Before the last key: what follows that in the file, such as the next section's comment, belongs to it.
            content.insert(max(0, len(content) - 1), key, value)
        elif content[key] != value:
            content[key] = value
