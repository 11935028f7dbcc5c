"""params.yaml stands in the form that DVC writes, so that `dvc exp run -S` changes the line that it is told to."""

import difflib
import re

import pytest
from dvc.utils.hydra import apply_overrides
from helpers import ROOT, raw_params

TEXT = (ROOT / "params.yaml").read_text()


def rewritten(folder, *overrides):
    """params.yaml after `-S` with these overrides."""
    path = folder / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(str(path), list(overrides))
    return path.read_text()


def test_params_yaml_is_a_fixed_point_of_dvc(tmp_path):
    assert rewritten(tmp_path) == TEXT, "run: make format"


@pytest.mark.parametrize(
    "override",
    [
        *("methods.mng_ac.beta=8", "methods.nat.kind=trades", "methods.trades_linf.step_sizes.linf=0.3"),
        *("run.split=validation", "data.cifar10.source=/some/where.tar.gz", "data.tiny_imagenet.source=null"),
        *("radii.standard.digits.linf=8/255", "training.default.steps_per_epoch=10", "training.digits.epochs=2"),
        *("evaluation.quick.n=100", "evaluation.paper.processes=1", "figures.grid=5", "pseudo_label.min_accuracy=0"),
    ],
)
def test_one_value_changes_one_line(tmp_path, override):
    lines = difflib.unified_diff(TEXT.splitlines(), rewritten(tmp_path, override).splitlines(), n=0, lineterm="")
    changed = [line for line in lines if re.match(r"[+-](?![+-])", line)]
    value = override.split("=")[1]
    assert [line[0] for line in changed] == ([] if value == "null" else ["-", "+"])
    assert value == "null" or value in changed[1]


def paths(node, path=""):
    """Dotted paths of all numbers that stand in no list."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from paths(value, f"{path}{key}.")
        elif type(value) in (int, float):
            yield f"{path}{key}"


def test_longer_numbers_break_no_line(tmp_path):
    overrides = [f"{path}=0.1234567" for path in paths(raw_params())]
    found = rewritten(tmp_path, *overrides)
    assert len(overrides) > 60 and len(found.splitlines()) == len(TEXT.splitlines())
