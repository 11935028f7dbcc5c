"""Evaluation from Python: names of suites, mappings of radii, and what is refused."""

import pytest
import torch
from evaluation_helpers import digits, suite, trained
from helpers import ROOT

from mngac.evaluation.loop import evaluate
from mngac.params.checks import load
from mngac.params.errors import ParamsError, UserError
from mngac.params.sections import Radii, Suite
from mngac.params.suites import defaults, suite_of

RADII = {"linf": "8/255", "l1": "2000/255", "l2": "128/255"}


def test_the_shipped_suites_are_those_of_params_yaml():
    params = load(str(ROOT / "params.yaml"))
    assert defaults() == params


def test_names_and_mappings_mean_what_suite_and_radii_do():
    x, y = digits(8)
    by_name = evaluate(trained(), x, y, suite="pgd", radii=RADII)
    assert by_name.attacks == evaluate(trained(), x, y, defaults().evaluation["pgd"], Radii(**RADII)).attacks
    assert [a.radius for a in by_name.attacks] == ["8/255", "128/255", "2000/255"]


def test_norms_that_the_suite_does_not_attack_need_no_radius():
    x, y = digits(8)
    found = evaluate(trained(), x, y, suite("pgd linf"), {"linf": 0.1})
    assert found.attacks == evaluate(trained(), x, y, suite("pgd linf"), Radii(linf=0.1, l1=9.0, l2=9.0)).attacks


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"suite": "quickest"}, 'suite: found "quickest"; allowed: one of '),
        ({"suite": {"attacks": []}}, "suite: found "),
        ({"radii": {"linf": "8/255", "l1": 12}}, "radii.l2: missing"),
        ({"radii": {**RADII, "l2": "0.5"}}, 'radii.l2: found "0.5"; allowed: a positive number or a fraction'),
        ({"radii": {**RADII, "l2": -1}}, "radii.l2: found -1; allowed: a positive"),
        ({"radii": {**RADII, "l3": 1}}, "radii.l3: unknown key; allowed: linf, l1, l2"),
        ({"radii": 0.1}, "radii: found 0.1; allowed: Radii, or a mapping"),
    ],
)
def test_wrong_suites_and_radii_are_refused_in_one_line(given, words):
    x, y = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ParamsError) as error:
        evaluate(trained(), x, y, **{"suite": "quick", "radii": RADII, **given})
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


X, Y = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X, Y + 10, "labels: found 10 to 10; allowed: 0 to 9"),
        (X, Y - 1, "labels: found -1 to -1; allowed: 0 to 9"),
        (X, Y.int(), "labels: found torch.int32 (2,); allowed: torch.int64 (n,)"),
        (X, Y.float(), "labels: found torch.float32 (2,); allowed"),
        (X, torch.zeros(2, 10), "labels: found torch.float32 (2, 10); allowed"),
        (X, Y[:, None], "labels: found torch.int64 (2, 1); allowed"),
        (X, [0, 0], "labels: found list; allowed: a tensor, such as torch.as_tensor(labels)"),
        (X, Y.numpy(), "labels: found ndarray; allowed: a tensor"),
        (X.numpy(), Y, "images: found ndarray; allowed: a tensor, such as torch.as_tensor(images)"),
        (X[0], Y, "images: found the shape (1, 8, 8); allowed: (n, channels, height, width)"),
        (X.flatten(1), Y, "images: found the shape (2, 64); allowed"),
    ],
)
def test_wrong_images_and_labels_are_refused_in_one_line(x, y, words):
    with pytest.raises(UserError) as error:
        evaluate(trained(), x, y, suite("pgd linf"), RADII)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ({"attack": "apdg"}, 'suite.attacks.0.attack: found "apdg"; allowed: one of '),
        ({"attack": "pgd", "steps": 3}, "suite.attacks.0.step_size: missing; allowed"),
        ({"attack": "square", "queries": 5, "restarts": 1, "steps": 3}, "suite.attacks.0.steps: not read by square"),
    ],
)
def test_a_suite_with_wrong_attacks_is_refused_in_one_line(attack, words):
    given = Suite.model_validate({"attacks": [{"norm": "linf", **attack}], "batch_size": 2, "n": None, "seed": 0})
    with pytest.raises(ParamsError) as error:
        evaluate(trained(), X, Y, given, RADII)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_a_device_may_be_given_as_torch_names_it():
    x, y = digits(8)
    found = evaluate(trained(), x, y, suite("pgd linf"), RADII, device=torch.device("cpu"))
    assert found.attacks == evaluate(trained(), x, y, suite("pgd linf"), RADII).attacks


def test_a_suite_passes_as_it_is():
    assert suite_of(suite("pgd linf")) == suite("pgd linf")
