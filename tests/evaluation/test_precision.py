"""What is counted as correct or broken is decided in plain float32, whatever precision the caller has set."""

import warnings

import pytest
import torch
from evaluation_helpers import RADII, digits, suite, trained

from mngac.evaluation import tasks
from mngac.evaluation.acceptance import Target, accept
from mngac.evaluation.loop import evaluate

PLAIN = (False, False, "highest", False, False)


def precision():
    """Autocast on CPU and CUDA, the precision of matrix products, TF32 in them and in convolutions."""
    return (
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    )


class Seen(torch.nn.Module):
    """A classifier that notes in which precision it is asked, and for gradients or not."""

    def __init__(self):
        super().__init__()
        self.inner, self.noted = trained(), []

    def forward(self, x):
        self.noted.append((torch.is_grad_enabled(), precision()))
        return self.inner(x)


@pytest.fixture
def low():
    """A caller who has set all that is faster and coarser."""
    was = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    with torch.autocast("cpu", torch.bfloat16), torch.backends.cudnn.flags(allow_tf32=True):
        yield precision()
    torch.set_float32_matmul_precision(was)


def test_acceptance_is_in_plain_float32_and_leaves_the_callers_precision(low):
    x, y = digits()
    classifier = Seen()
    accept(classifier, x, y, x, Target("linf", 0.1, 10, 0, "cpu"))
    assert classifier.noted == [(False, PLAIN)] and precision() == low != PLAIN


def test_of_an_evaluation_the_attacks_alone_follow_the_caller(low):
    classifier = Seen().eval()
    found = evaluate(classifier, *digits(), suite("pgd linf"), RADII)
    kinds = {asked for graph, asked in classifier.noted if not graph}
    attacks = [asked for graph, asked in classifier.noted if graph]
    assert PLAIN in kinds and low in attacks
    assert classifier.noted[0] == classifier.noted[-1] == (False, PLAIN)  # the clean pass, and the last acceptance
    assert found.clean == evaluate(trained(), *digits(), suite("pgd linf"), RADII).clean


def test_no_warning_comes_of_it():
    x, y = digits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accept(trained(), x, y, x, Target("linf", 0.1, 10, 0, "cpu"))


def test_attacks_ask_the_cheaper_copy_and_the_classifier_itself_judges(monkeypatch):
    """A copy that finds every image misclassified ends each attack at once: the classifier must still hold them."""
    x, y = digits()
    asked = []

    def wrong(images):
        asked.append(len(images))
        return torch.nn.functional.one_hot(torch.full((len(images),), 10), 11).float() + 0 * images.sum()

    monkeypatch.setattr(tasks, "asked", lambda *given: wrong)
    classifier = trained()
    clean = (classifier(x).argmax(1) == y).tolist()
    found = evaluate(classifier, x, y, suite("batched_apgd_ce linf"), RADII)
    assert asked and found.attacks[0].forwards == sum(asked)
    assert found.robust("linf") != [False] * len(y) and sum(found.robust("linf")) >= 0.9 * sum(clean)
