"""The Dockerfile's steps without Docker, in a clean environment: `make container-test`, as root, 5 GB of disk.

A copy-on-write layer is laid over this system, and the steps are taken there as they stand: RUN by `sh`, with none of
this environment's variables, `python` being a fresh virtual environment's; COPY of what git knows; ENV, USER, WORKDIR
and VOLUME as Docker takes them. Then, as the image's user and with all read-only but the volumes and /tmp, as Apptainer
has it: the version, the pins, a small run from an empty cache, and again from that cache. All is deleted at the end.
What it does not show: that an image is built, and that Debian's slim image has what these steps take from this system.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATH = "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WRITABLE = ("/tmp", "/var/tmp")
"""What Apptainer binds from the host, beside what it is told."""
USE = """
set -ex
mngac --version
python - <<'END'
from importlib.metadata import version
from packaging.requirements import Requirement
pins = [Requirement(line) for line in open("/opt/mngac/requirements.lock") if not line.startswith("#")]
pinned = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
assert len(pinned) > 150 and all(pin.specifier.contains(version(pin.name)) for pin in pinned)
END
! touch /opt/mngac/written 2>/dev/null
cp -r /opt/mngac/. /workspace
python - <<'END'
import yaml
from tests.helpers import small
params = yaml.safe_dump(small(), sort_keys=False)
open("params.yaml", "w").write(params)
END
snakemake --cores 2 --quiet
cat results/tables/multi_perturbation.md
rm -r data trained records results logs .mngac .snakemake
git init --quiet
dvc repro --quiet
test "$(cat logs/*/*.log | grep -c 'cached, key')" = "$(cat logs/*/*.log | wc -l)"
test -s results/report.html
"""


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions, each with its arguments: comments taken out, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(words[0], words[1].strip()) for line in joined.splitlines() if len(words := line.split(maxsplit=1)) == 2]


class Layer:
    """The layer in which the steps are taken, in a system of mounts of its own."""

    def __init__(self, place: Path):
        self.place, self.root = place, place / "root"
        self.variables = {"PATH": PATH, "HOME": "/root"}
        self.user, self.folder = "root", "/"
        for name in ("upper", "work", "root"):
            (place / name).mkdir()
        lower = f"lowerdir=/,upperdir={place}/upper,workdir={place}/work"
        _do("mount", "-t", "overlay", "overlay", "-o", lower, str(self.root))
        _do("mount", "-t", "proc", "proc", f"{self.root}/proc")
        _do("mount", "--rbind", "/dev", f"{self.root}/dev")
        for path in WRITABLE:
            self.bind(path)
        for above in Path(sys.executable).resolve().parents:  # the base of the virtual environment, which users read
            above_here = self.root / above.relative_to("/")
            above_here.chmod(above_here.stat().st_mode | 0o055)
        self.do(f"{Path(sys.executable).resolve()} -m venv /venv")

    def bind(self, path: str) -> None:
        """Gives a path an empty folder that anybody may write to."""
        outside, inside = self.place / path.replace("/", "_"), self.root / path.lstrip("/")
        outside.mkdir()
        outside.chmod(0o1777)
        inside.mkdir(exist_ok=True)
        _do("mount", "--bind", str(outside), str(inside))

    def do(self, command: str) -> None:
        """Runs a shell command inside, as the user and in the folder that hold now."""
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        inside = f"cd {shlex.quote(self.folder)} && {command}"
        _do("chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *variables, "sh", "-c", inside)

    def take(self, name: str, given: str) -> None:
        """Takes one step.

        Raises:
            NotImplementedError: for an instruction that this script does not know.
        """
        print(f"== {name} {given}", flush=True)
        if name == "RUN":
            self.do(given)
        elif name == "COPY":
            self._copy(*given.split())
        elif name == "ENV":
            self.variables |= dict(pair.split("=", 1) for pair in shlex.split(given))
        elif name == "USER":
            self.user = given
        elif name == "WORKDIR":
            self.folder = given
        elif name == "VOLUME":
            for path in re.findall(r'"([^"]+)"', given):
                self.bind(path)
        elif name not in ("FROM", "ARG", "CMD"):
            raise NotImplementedError(name)

    def _copy(self, source: str, target: str) -> None:
        listed = subprocess.run(["git", "ls-files", "--", source], cwd=ROOT, capture_output=True, text=True, check=True)
        for path in listed.stdout.splitlines():
            place = self.root / target.strip("/") / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, place)

    def close(self) -> None:
        """From now on nothing inside can be written but the volumes and WRITABLE."""
        _do("mount", "-o", "remount,ro", str(self.root))


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    """Takes the steps in a system of mounts and processes of its own, and deletes what they have made."""
    if "--inside" in sys.argv:
        layer = Layer(Path(sys.argv[-1]))
        for name, given in instructions((ROOT / "Dockerfile").read_text()):
            layer.take(name, given)
        layer.close()
        layer.do(USE)
        print("== all steps taken, and the pipeline run in what they made; no image was built")
        return
    with tempfile.TemporaryDirectory(prefix="mngac-container-") as place:
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        _do(*apart, sys.executable, __file__, "--inside", place)


if __name__ == "__main__":
    main()
