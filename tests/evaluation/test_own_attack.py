"""An attack and a loader from a module of the user's own: run, accepted or rejected, and in the records' provenance."""

import pytest
import torch
from helpers import Linear, small

from mngac import cli
from mngac.data import store
from mngac.evaluation.loop import evaluate
from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.sections import AttackConfig, Suite
from mngac.pipeline.jobs import job
from mngac.pipeline.provenance import provenance

MODULE = '''
import torch
from mngac.data.store import RawData

BLACK_BOX = True


def shift(classifier, x, y, target, config):
    """Every pixel by a share of the radius, to the side that lowers the linear score."""
    side = 2 * y.float().reshape(-1, 1, 1, 1) - 1
    return x + config.options["share"] * target.radius * side


def net(classes, channels, size):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * size * size, classes))


def noise(config, workspace):
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 8, 8), generator=draw, dtype=torch.uint8)
    return RawData(images, torch.arange(40) % 2, images[:10], torch.arange(10) % 2, ["a", "b"], ordered=True)
'''


@pytest.fixture(scope="module", autouse=True)
def _module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("path")
    (folder / "things_of_mine.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


def suite(**options):
    entry = AttackConfig(attack="things_of_mine:shift", norm="linf", options=options)
    return Suite(attacks=[entry], batch_size=3, n=None, seed=0)


def test_it_breaks_just_the_images_whose_margin_is_smaller_than_its_step():
    """W = 1 on four pixels: the score falls by 4 x 0.1 where y = 0, so images of a score to 0.4 are broken."""
    classifier = Linear(torch.ones(1, 2, 2))
    classifier.forward = lambda x: torch.stack([x.sum((1, 2, 3)) - 2, 2 - x.sum((1, 2, 3))], 1)
    x = torch.full((4, 1, 2, 2), 0.5) + torch.tensor([0.05, 0.09, 0.11, 0.2]).reshape(4, 1, 1, 1)
    shifted = evaluate(classifier, x, torch.zeros(4, dtype=torch.int64), suite(share=1.0), {"linf": 0.1})
    assert shifted.attacks[0].name == "things_of_mine:shift" and shifted.attacks[0].correct == "0011"
    too_far = evaluate(classifier, x, torch.zeros(4, dtype=torch.int64), suite(share=3.0), {"linf": 0.1})
    assert (too_far.attacks[0].correct, too_far.attacks[0].rejected) == ("1111", 4)


def test_its_options_are_checked_without_params_yaml_too():
    x, y = torch.rand(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ParamsError, match=r"^suite.attacks.0.options.share: missing; .* things_of_mine:shift reads it"):
        evaluate(Linear(torch.ones(1, 2, 2)), x, y, suite(), {"linf": 0.1})


def test_records_are_told_apart_by_its_code_and_not_by_the_models():
    raw = small(methods=("nat",))
    where = dict(dataset="digits", method="nat", seed="0", suite="apgd", profile="standard")

    def code(model, attack):
        raw["training"]["digits"]["model"] = model
        raw["evaluation"]["apgd"]["attacks"] = [attack]
        params = parse(raw)
        stated = job(params, "evaluate", **where).stated()
        return provenance("key", stated, "cpu", params.evaluation["apgd"])["code"]

    ours = {"attack": "apgd_ce", "norm": "linf", "steps": 5, "restarts": 1}
    own = {"attack": "things_of_mine:shift", "norm": "linf", "options": {"share": 1}}
    assert code("wrn_10_1", ours) == code("things_of_mine:net", ours) != code("wrn_10_1", own)


def test_a_loader_of_ones_own_gives_a_tensor_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = ("--loader", "things_of_mine:noise", "--validation", "0.25", "--out", "noise.safetensors")
    assert cli.main(["data", "--dataset", "noise", *told]) == 0
    data = store.load("noise.safetensors")
    assert (len(data.split("train")), len(data.split("validation")), len(data.split("test"))) == (30, 10, 10)
