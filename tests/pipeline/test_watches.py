"""What a stage watches is what its jobs depend on: found by changing every value of params.yaml, one at a time."""

import copy
import json

import pytest
from helpers import small

from mngac.params import checks
from mngac.params.errors import ParamsError
from mngac.pipeline.jobs import job, jobs

WORDS = (
    "validation",
    "cpu",
    "float32",
    "bfloat16",
    "contiguous",
    "data",
    "eval",
    "train",
    "all",
    "none",
    "gaussian",
    "linf",
    "l1",
    "1/9",
    "nat",
    "svhn",
    "elsewhere",
    "crown_ibp",
    "apgd",
    "last",
)


def leaves(node, path=()):
    """Paths and values of all scalars and of all lists without dictionaries in them."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, dict) or any(isinstance(value, dict) for _, value in inner):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def others(value):
    """Values that may stand in another's place: not all are valid there."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, value / 2]
    if isinstance(value, list):
        return [value[::-1], value[:-1], [*value, *value[:1]], ["crop"], ["linf"], ["rst_linf"]]
    return [1, *WORDS]


def changed(raw, path, value):
    raw = copy.deepcopy(raw)
    node = raw
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return raw


def stated(params, job_of):
    """What a job states of params.yaml: values, inputs and outputs; or how it is refused."""
    try:
        found = job(params, job_of.stage.name, **job_of.wildcards)
        return json.dumps([found.values, found.inputs, found.outputs], sort_keys=True)
    except (ValueError, KeyError) as error:
        return str(error)


def is_watched(path, watches):
    return any(f"{path}.".startswith(f"{watched}.") for watched in watches)


@pytest.fixture(scope="module")
def moved():
    """The run's jobs, and for each the paths of values whose change it sees; all paths that could be changed."""
    patch = pytest.MonkeyPatch()
    # Names need not fit together here, so that a kind can be changed by itself.
    patch.setattr(checks, "_check_names", lambda params: None)
    patch.setattr("mngac.pipeline.jobs.CHECKS", {})
    raw = small(
        methods=("nat", "mng_ac"),
        semi=("rst_linf", "mng_ac_rst_linf"),
        device="cuda",
        datasets=["digits", "cifar10"],
        seeds=[0, 3],
    )
    raw["run"] |= {"suites": ["apgd", "pgd"], "profiles": ["standard", "large_l1"], "unforeseen": ["digits", "cifar10"]}
    raw["unforeseen"]["cifar10"]["attacks"][-1]["sources"] = {"cifar10": __file__}
    raw["evaluation"]["pgd"] |= {"block": 100, "shards": 2}
    raw["run"]["tuned"] = [{"method": "soup", "start": "nat"}]
    raw["run"]["challenges"] = ["apgd"]
    raw["challenge"]["opinions"] = ["pgd"]
    raw["run"]["certificates"] = ["crown"]
    raw["radii"]["large_l1"]["digits"] = {"linf": 0.2, "l1": 2.0, "l2": 0.7}
    raw["attack_spaces"]["lp"] = {
        "suite": "apgd",
        "profiles": ["standard"],
        "specialists": {"l2": ["nat"]},
        "clean": "nat",
    }
    raw["run"]["attack_spaces"] = ["lp"]
    pair = {"method": "mng_ac", "against": "nat"}
    raw["hypotheses"]["one"] = {"suite": "apgd", "profile": "standard", "pairs": [pair], "equivalence": 1.0}
    raw["run"]["hypotheses"] = ["one"]
    own = {"profile": "large_l1", "epochs": 29, "attack": {"kind": "pgd", "l1": {"kind": "pgd", "top": 5}}}
    raw["methods"]["mng_ac"]["training"] = own
    raw["training"]["default"] |= {"average": {"decay": 0.9}, "additional_share": 0.25}
    raw["training"]["default"]["schedule"]["drops"] = [20, 25]
    for name in ("digits", "cifar10"):
        raw["data"][name]["additional"] = __file__
    raw["training"]["default"]["select"] = {"epoch": "best", "suite": "pgd", "every": 2}
    raw["figures"]["methods"] += ["rst_linf", "soup"]
    params = checks.parse(raw)
    ours = jobs(params)
    before = [stated(params, each) for each in ours]
    sees: list[set[str]] = [set() for _ in ours]
    tried = {}
    for path, value in leaves(raw):
        name = ".".join(map(str, path))
        tried[name] = 0
        for other in others(value):
            try:
                params = checks.parse(changed(raw, path, other))
            except ParamsError:
                continue
            tried[name] += 1
            for each, was, seen in zip(ours, before, sees, strict=True):
                if name not in seen and stated(params, each) != was:
                    seen.add(name)
    patch.undo()
    return ours, sees, tried


def test_every_value_of_params_yaml_was_changed(moved):
    _, _, tried = moved
    assert len(tried) > 300 and [name for name, times in tried.items() if not times] == []


def test_what_changes_a_job_is_watched_by_its_stage(moved):
    ours, sees, _ = moved
    missed = {
        (each.command, path)
        for each, seen in zip(ours, sees, strict=True)
        for path in seen
        if not is_watched(path, each.watches)
    }
    assert missed == set()


def test_nothing_is_watched_in_vain(moved):
    ours, sees, _ = moved
    vain = {
        (each.command, watched)
        for each, seen in zip(ours, sees, strict=True)
        for watched in each.watches
        if not any(is_watched(path, [watched]) for path in seen)
    }
    assert vain == set()


def test_a_job_sees_no_change_in_what_it_does_not_use(moved):
    ours, sees, _ = moved
    seen = {each.command: paths for each, paths in zip(ours, sees, strict=True)}
    nat = seen["mngac train --dataset digits --method nat --seed 0"]
    semi = seen["mngac train_semi --dataset digits --method rst_linf --seed 0"]
    for paths in (nat, semi):
        assert "training.default.precision.cuda" in paths and "training.default.precision.cpu" not in paths
    assert "training.default.epochs" not in nat and "training.digits.epochs" in nat
    assert not any(path.startswith(("methods.mng_ac.", "training.svhn.", "radii.large_l1.", "run.s")) for path in nat)
