"""Code blocks of documents, and a shell session that runs those of a page one after another, as its reader would."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from helpers import ROOT, here, workspace

COMMANDS = ("sh", "python", "yaml")
"""Languages that are run: commands, scripts, and what is to stand in params.yaml."""
OUTPUT = ("text", "math")
"""Those that are not: what was printed, or how a file looks; a formula."""
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (not run|run as|run before|goes on|file): (.+) -->\n\Z")
END = "at the end of the page"
"""The last line of a page that came to its end."""
COMMENT = re.compile(r"<!--.*-->\s*\Z")
TREES = ("docs", "examples", "params")
FILES = ("Makefile", "README.md", "pyproject.toml", "requirements.lock", "setup.py")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and what a comment above it says of it."""

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    """Why it is not run; empty where it is."""
    run_as: str = ""
    """What is run in its place, where it would install something or take hours."""
    run_before: str = ""
    """What is run before it: what its reader has done already."""
    goes_on: str = ""
    """Of a script, what it goes on from: the one above it, whose names it has."""
    file: str = ""
    """Name of the file that it is the content of; empty where it is run."""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Of a document, in order."""
    text = page.read_text()
    found = []
    for fence in FENCE.finditer(text):
        mark, comment = MARK.search(text[: fence.start()]), COMMENT.search(text[: fence.start()])
        if comment and not mark:
            raise ValueError(f"{page}: found {comment[0].strip()} above a block; allowed: {MARK.pattern}")
        said = {mark[1].replace(" ", "_"): mark[2]} if mark else {}
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(str(page.relative_to(ROOT)), line, fence[1], fence[2], **said))
    return found


def folder(at: Path, raw: dict, env: dict[str, str]) -> Path:
    """A checkout with these parameters, committed, whose `.venv` only leads to the environment that runs the tests."""
    made = workspace(at, raw)
    for name in TREES:
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, made)
    activate = made / ".venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f"export PATH={Path(sys.executable).parent}:$PATH\n")
    (made / ".venv/ready").touch()
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "Begin")):
        subprocess.run(["git", *command], cwd=made, env=env, check=True)
    return made


def script(page: list[Block], scripts: Path) -> str:
    """The page's blocks as one script of the shell, which says before each where it stands."""
    lines, above = ["set -euo pipefail"], ""
    for block in page:
        if block.language not in COMMANDS or block.not_run:
            continue
        lines.append(f"echo {shlex.quote('at ' + block.where)} >&2")
        kept = scripts / f"{block.line}.{block.language}"
        text = above + block.text if block.goes_on else block.text
        above = text if block.language == "python" else above
        kept.write_text(text)
        if block.run_before:
            lines.append(block.run_before)
        if block.run_as:
            lines.append(block.run_as)
        elif block.file:
            path = f'"$HOME{block.file[1:]}"' if block.file.startswith("~/") else shlex.quote(block.file)
            lines += [f'mkdir -p "$(dirname {path})"', f"cp {kept} {path}"]
        elif block.language == "sh":
            lines.append(block.text)
        elif block.language == "python":
            lines.append(f"python {kept}")
        else:
            lines.append(f"python {Path(__file__).with_name('lay.py')} {kept}")
    return "\n".join([*lines, f"echo {END}"]) + "\n"


def run_page(page: Path, at: Path, raw: dict, cache: Path | None = None) -> str:
    """Runs a page's blocks in a checkout of its own, a home of its own and, unless one is given, a cache beside it.

    What they printed, where each ended well and the last one was reached. A block may rest on what one above it did,
    and the shell's folder and variables stay.
    """
    scripts, home = at / "scripts", at / "home"
    scripts.mkdir()
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = reader\nemail = reader@localhost\n")
    foreign = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GIT_CONFIG_GLOBAL")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    made = folder(at / "mngac", raw, {**kept, "HOME": str(home)})
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    env = {**kept, **here(made, cache or at / "cache"), "HOME": str(home), "PATH": path}
    text = script(blocks(page), scripts)
    done = subprocess.run(["bash", "-c", text], cwd=made, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0 and done.stdout.endswith(f"{END}\n"), (done.stdout + done.stderr)[-3000:]
    return done.stdout
