"""A method of one's own: a file of 15 lines and an entry of three, and it is one more row under both engines."""

import csv
import shutil

import pytest
from helpers import run, small, workspace, write_params

from mngac.pipeline.cache import Cache

pytestmark = pytest.mark.slow

FILE = '''import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step


class Method(Base):
    """CE(f(x + u), y), u uniform in the entry's ball."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        noise = torch.rand(batch.x.shape, generator=step.stream("noise"), device=batch.x.device)
        return F.cross_entropy(classifier((batch.x + self.config.start_std * (noise - 0.5)).clamp(0, 1)), batch.y)
'''


def trained(folder):
    return sorted(e.name for e in Cache(folder / "cache").entries() if e.about["parts"]["stage"] == "train")


def rows(folder):
    lines = csv.DictReader((folder / "results/tables/all.csv").open())
    return {line["method"]: line["union"] for line in lines}


def test_a_new_method_is_a_row_under_both_engines_and_retrains_nothing_else(tmp_path):
    assert len(FILE.rstrip().splitlines()) <= 15
    folder = workspace(tmp_path / "w", small(methods=("nat",)))
    run(folder, "git", "init", "-q")
    run(folder, "snakemake", "--cores", "1")
    assert trained(folder) == ["train digits nat 0"]
    (folder / "mngac/methods/noisy.py").write_text(FILE)
    raw = small(methods=("nat",))
    raw["methods"]["noisy"] = {"kind": "noisy", "start_std": 0.3}
    raw["run"]["methods"] = ["nat", "noisy"]
    write_params(folder, raw)
    run(folder, "snakemake", "--cores", "1")
    assert trained(folder) == ["train digits nat 0", "train digits noisy 0"]
    by_snakemake = rows(folder)
    assert set(by_snakemake) == {"nat", "noisy"} and by_snakemake["noisy"]
    for name in ("trained", "records", "results"):
        shutil.rmtree(folder / name)
    run(folder, "dvc", "repro")
    assert rows(folder) == by_snakemake
    assert len(trained(folder)) == 2
