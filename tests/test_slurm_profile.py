"""profiles/slurm names what the DAG has, and reruns what profiles/default does; tests/slurm runs it."""

import pytest
import yaml
from helpers import ROOT

from mngac.params.errors import UserError
from mngac.pipeline.engines import refuse_auto
from mngac.pipeline.stages import STAGES

DEFAULT, SLURM = (yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm"))


@pytest.mark.parametrize("key", ["rerun-incomplete", "rerun-triggers", "keep-going"])
def test_it_reruns_what_the_default_profile_does(key):
    assert SLURM[key] == DEFAULT[key]


def test_it_names_rules_that_exist_and_every_rule_that_computes():
    named = set(SLURM["set-resources"])
    assert named <= set(STAGES)
    assert named >= {name for name, stage in STAGES.items() if stage.computes}


def test_it_groups_short_stages_that_exist_each_group_with_its_size():
    groups = dict(each.split("=") for each in SLURM["groups"])
    sizes = dict(each.split("=") for each in SLURM["group-components"])
    assert set(groups) <= set(STAGES) and set(groups.values()) == set(sizes)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_stated_device_is_the_same_on_every_machine(device):
    refuse_auto(device)


def test_auto_is_refused_with_what_to_write():
    with pytest.raises(UserError, match=r'^run\.device: found "auto", .*; allowed, .*: cpu, cuda$'):
        refuse_auto("auto")
