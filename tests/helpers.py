"""What several tests need: small parameters, a workspace, a linear classifier."""

import copy
import os
import shutil
import signal
import subprocess
from pathlib import Path

import torch
import yaml
from torch import nn

from mngac.attacks.pgd import Attack
from mngac.methods.base import Setup
from mngac.params.checks import parse
from mngac.params.inheritance import resolved
from mngac.params.sections import MethodConfig, Params
from mngac.pipeline.progress import Log

ROOT = Path(__file__).parent.parent
FIXTURES = Path(__file__).parent / "fixtures"


def raw_params() -> dict:
    """params.yaml as read."""
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def small(methods=("nat", "mng_ac"), semi=(), epochs=1, **run) -> dict:
    """The digits in a minute fraction: few methods, one or two epochs, a short APGD on few images."""
    raw = copy.deepcopy(raw_params())
    teachers = ["nat"] if semi else []
    lists = {"methods": list(methods), "semi_methods": list(semi), "teachers": teachers}
    raw["run"] |= {**lists, "suites": ["apgd"], "device": "cpu", **run}
    raw["training"]["digits"] |= {"epochs": epochs, "schedule": {"peak": 0.1, "peak_epoch": 0.5}}
    raw["pseudo_label"]["min_accuracy"] = 0.0
    raw["evaluation"]["apgd"] |= {"n": 20}
    for entry in raw["evaluation"]["apgd"]["attacks"]:
        entry["steps"] = 5
    raw["figures"] |= {"images": 20, "steps": 2, "radius_factors": [0, 1], "planes": 1, "grid": 5}
    raw["figures"] |= {"surface_images": 1, "surface_grid": 4, "panel_images": 1}
    return raw


def small_params(**kwargs) -> Params:
    """`small`, parsed."""
    return parse(small(**kwargs))


def workspace(folder: Path, raw: dict) -> Path:
    """A copy of the project with these parameters."""
    hidden = shutil.ignore_patterns("__pycache__")
    for name in ("mngac", "workflow", "profiles", ".dvc"):
        skip = shutil.ignore_patterns("__pycache__", "tmp", "cache")
        shutil.copytree(ROOT / name, folder / name, ignore=hidden if name != ".dvc" else skip)
    (folder / "digests/further").mkdir(parents=True)
    shutil.copy(ROOT / "digests/further/README.md", folder / "digests/further")
    for name in ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    write_params(folder, raw)
    return folder


def write_params(folder: Path, raw: dict) -> None:
    """Writes params.yaml."""
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def here(folder: Path, cache: Path) -> dict[str, str]:
    """Variables by which the package that is imported is a workspace's, with this cache."""
    return {"PYTHONPATH": str(folder), "MNGAC_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def environment(folder: Path, cache: Path | None = None) -> dict[str, str]:
    """Of a command in a workspace, whose package is then the one imported, with a cache of its own."""
    return {**os.environ, **here(folder, cache or folder / "cache")}


def run(folder: Path, *command: str, cache: Path | None = None, check: bool = True) -> subprocess.CompletedProcess:
    """Runs a command in a workspace."""
    done = subprocess.run(command, cwd=folder, env=environment(folder, cache), capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def beside(folder: Path, *command: str, cache: Path | None = None) -> subprocess.Popen:
    """Starts a command in a workspace, and goes on."""
    log = open(folder / "beside.log", "w")  # noqa: SIM115
    return subprocess.Popen(command, cwd=folder, env=environment(folder, cache), stdout=log, stderr=log)


def heeds_ctrl_c() -> None:
    """`preexec_fn` of a process that is to be sent SIGINT: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Heard(Log):
    """A log that keeps its lines, and is silent."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    step = keep = line


class Linear(nn.Module):
    """Logits W x: attacks on it have closed forms. Two classes, any image shape."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = (x * self.weight).flatten(1).sum(1)
        return torch.stack([score, -score], 1)


def attacks(steps: int = 3, top: int = 2) -> dict[str, Attack]:
    """A training attack a norm, on small images."""
    radii = {"linf": 0.1, "l1": 1.0, "l2": 0.5}
    return {name: Attack(name, radius, radius / 4, steps, top) for name, radius in radii.items()}


def setup(channels: int = 1, seed: int = 0, **kwargs) -> Setup:
    """What a method is given, on the CPU."""
    given = dict(attacks=attacks(), momentum=0.9, weight_decay=0.0005)
    return Setup(channels=channels, device="cpu", seed=seed, **{**given, **kwargs})


def entry(name: str, **changes) -> MethodConfig:
    """A method's entry of params.yaml, changed."""
    return MethodConfig.model_validate({**resolved(raw_params())["methods"][name], **changes})
