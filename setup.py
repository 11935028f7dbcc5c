"""What pyproject.toml can't say: a wheel holds the workflow and its parameters, which lie beside the package here."""

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHIPPED = ("params.yaml", "params", "Snakefile", "workflow", "profiles/default", "dvc.yaml", "docs/measurements.json")
"""What mngac/params/shipped.py finds beside the package, or else in the folder `shipped` inside it."""


class BuildWithWorkflow(build_py):
    """Puts them, and the commit that they are of, into the package that is built."""

    def run(self) -> None:
        """Builds the package, and then adds to it; an editable one has them beside it."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "mngac/shipped")
        shutil.rmtree(folder, ignore_errors=True)
        for name in SHIPPED:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, target)
        (folder / "commit").write_text(commit() + "\n", encoding="utf-8")


def commit() -> str:
    """The checkout's commit, with `+` where the work tree differs; `unknown` for one that git does not know."""
    describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    if not (ROOT / ".git").exists():
        return "unknown"
    done = subprocess.run(describe, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


setup(cmdclass={"build_py": BuildWithWorkflow})
