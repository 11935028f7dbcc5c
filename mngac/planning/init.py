"""`mngac init`: a folder of somebody's own with the packaged workflow over a params.yaml of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mngac.params.errors import UserError, listed
from mngac.params.shipped import shipped
from mngac.pipeline.atomic import write_text
from mngac.pipeline.package import STATED

SNAKEFILE = """\
# The workflow of the installed package, over the params.yaml beside this file. Rules of your own may stand below.
from mngac.params.shipped import shipped


include: str(shipped("Snakefile"))


rule project:
    default_target: True
    input:
        rules.all.input,
"""

PACKAGE_STAGE = f"""\
stages:
  # What is installed, asked before each run: after another version of the package every stage is asked again.
  package:
    cmd: mngac package
    always_changed: true
    outs: [{STATED}]

"""

IGNORED_BY_GIT = """\
.snakemake/
.mngac/
/data/
/trained/
/records/
/shards/
/crafted/
/challenges/
/unforeseen/
/certificates/
/results/
/logs/
/mngac-package.json
/digests/*
!/digests/further/
/digests/further/*.json
"""

IGNORED_BY_DVC = """\
.snakemake
.mngac
logs
"""

FURTHER = "DVC needs this folder to be there, even where a run asks for none of the tables whose digests lie in it.\n"


def _params() -> str:
    return shipped("params.yaml").read_text(encoding="utf-8")


def dvc_yaml() -> str:
    """The packaged dvc.yaml, whose stages depend on what the installed package says of itself, not on its folder."""
    text = shipped("dvc.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("stages:\n")
    rest = re.sub(r"(?<=deps: \[)mngac(?=[,\]])", STATED, rest)
    rest = re.sub(r"(?m)^( +- )mngac$", rf"\g<1>{STATED}", rest)
    return head + PACKAGE_STAGE + rest


FILES: dict[str, Callable[[], str]] = {
    "params.yaml": _params,
    "Snakefile": lambda: SNAKEFILE,
    "dvc.yaml": dvc_yaml,
    "profiles/default/config.yaml": lambda: shipped("profiles/default/config.yaml").read_text(encoding="utf-8"),
    ".gitignore": lambda: IGNORED_BY_GIT,
    ".dvcignore": lambda: IGNORED_BY_DVC,
    ".dvc/config": lambda: "[core]\n    analytics = false\n    check_update = false\n",
    ".dvc/.gitignore": lambda: "/config.local\n/tmp\n/cache\n",
    "digests/further/README.md": lambda: FURTHER,
}
"""What a project has, by path."""


def init(folder: str) -> list[str]:
    """Writes the files of a project into a folder, new or without any of them; the paths written.

    Where git is there, the folder becomes a repository unless it lies in one: DVC's experiments need it, and records
    name its commit. Without git DVC is told so.

    Raises:
        UserError: where one of the files is there already; nothing is written then.
    """
    home = Path(folder)
    there = [name for name in FILES if (home / name).exists()]
    if there:
        raise UserError(f"{folder}: found {listed(there)}; allowed: a folder without them, or a new one")
    texts = {name: text() for name, text in FILES.items()}
    home.mkdir(parents=True, exist_ok=True)
    if not _in_a_repository(home) and not _made_one(home):
        texts[".dvc/config"] += "    no_scm = true\n"
    for name, text in texts.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(home / name, text)
    return list(texts)


def _in_a_repository(folder: Path) -> bool:
    inside = ["git", "-C", str(folder), "rev-parse", "--is-inside-work-tree"]
    return bool(shutil.which("git")) and not subprocess.run(inside, capture_output=True).returncode


def _made_one(folder: Path) -> bool:
    if not shutil.which("git"):
        return False
    return not subprocess.run(["git", "init", "--quiet", str(folder)], capture_output=True).returncode
