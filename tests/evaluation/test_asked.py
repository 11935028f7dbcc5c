"""Whom attacks ask in a classifier's place: folded, compiled, or the classifier itself; and who judges."""

import copy
import functools
import shutil
import threading

import pytest
import torch
from evaluation_helpers import RADII, digits, suite, trained
from torch import nn

from mngac.evaluation import tasks
from mngac.evaluation.asked import asked
from mngac.evaluation.loop import evaluate
from mngac.models import compiled
from mngac.models.compiled import hindrance
from mngac.models.files import Architecture
from mngac.pipeline.progress import Log


@pytest.fixture
def traced(monkeypatch):
    """torch.compile traces, but leaves what it traced to eager: no C++ compiler is needed."""
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def untold(found):
    raise AssertionError(found)


def norms(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def small():
    torch.manual_seed(0)
    return Architecture("wrn_10_1", 10, 1, 8).build().eval().requires_grad_(False)


def test_a_classifier_that_nothing_can_be_folded_of_is_asked_itself():
    net, x = trained(), digits()[0]
    assert asked(net, x, False, untold) is net
    assert asked(torch.sin, x, False, untold) is torch.sin


def test_a_compiled_classifier_is_a_copy_and_the_one_that_judges_stays_plain(traced):
    x = digits()[0]
    for net in (small(), trained()):
        before = copy.deepcopy(net)
        cheaper = asked(net, x, True, untold)
        torch.testing.assert_close(cheaper(x), net(x), rtol=1e-3, atol=1e-3)
        assert "forward" not in vars(net) and "forward" in vars(cheaper)
        assert norms(cheaper) < norms(net) == norms(before) or not norms(net)


@pytest.mark.parametrize("wrong", ["logits", "gradients"])
def test_a_compiled_copy_that_is_another_classifier_is_not_asked(monkeypatch, wrong):
    """As a compiler's fault would make it: forward and backward passes are compiled each by itself."""

    def faulty(forward, **options):
        return (lambda x: 2 * forward(x)) if wrong == "logits" else (lambda x: forward(x).detach() + 0 * x.sum())

    monkeypatch.setattr(compiled.torch, "compile", faulty)
    said = []
    net, x = small(), digits()[0]
    found = asked(net, x, True, said.append)
    assert said == ["other logits or gradients than the classifier's own"]
    assert "forward" not in vars(found) and norms(found) < norms(net)


def test_a_classifier_that_can_not_be_copied_is_asked_itself():
    net = trained()
    net.lock = threading.Lock()
    net.normed = True
    assert asked(net, digits()[0], False, untold) is net


def test_batch_norms_are_folded_whatever_precision_the_attacks_run_in():
    with torch.autocast("cpu", torch.bfloat16):
        assert norms(asked(small(), digits()[0], False, untold)) < norms(small())


def test_a_callable_that_is_no_module_is_asked_uncompiled_and_that_is_said():
    said = []
    net = trained()
    assert asked(net.__call__, digits()[0], True, said.append) == net.__call__
    assert len(said) == 1 and "torch.nn.Module" in said[0]


def test_batches_of_all_sizes_share_a_few_graphs_and_break_what_an_uncompiled_pass_breaks(traced):
    x, y = digits(60)
    attacks = ("batched_apgd_ce linf", "batched_apgd_t l2", "batched_apgd_ce l1")
    plain, through = (evaluate(trained(), x, y, suite(*attacks, compile=flag), RADII) for flag in (False, True))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 6
    assert plain.clean == through.clean  # and of the attacks, whose rounding differs by processor, one image may fall
    assert all(abs(sum(plain.robust(norm)) - sum(through.robust(norm))) <= 1 for norm in ("linf", "l1", "l2"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: no g++ here")
def test_a_compiled_evaluation_comes_to_its_end_compiled(capfd):
    torch._dynamo.reset()
    x, y = digits(60)
    runner = tasks.Runner(small(), x, y, 0, "cpu", compiled=True)
    logits = runner.asked(x)
    torch.testing.assert_close(logits, runner.classifier(x), rtol=1e-3, atol=1e-3)
    assert hindrance(runner.asked) == ""
    found = evaluate(small(), x, y, suite("batched_apgd_ce linf", compile=True), RADII, log=Log(name="who"))
    assert "torch.compile" not in capfd.readouterr().err
    uncompiled = evaluate(small(), x, y, suite("batched_apgd_ce linf"), RADII)
    assert abs(sum(found.union()) - sum(uncompiled.union())) <= 2


@pytest.mark.slow
def test_without_a_compiler_one_line_says_so_and_the_evaluation_goes_on(monkeypatch, tmp_path, capfd, recwarn):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nonexistent/g++",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    x, y = digits(20)
    found = evaluate(trained(), x, y, suite("batched_apgd_ce linf", compile=True), RADII, log=Log(name="who"))
    lines = [line for line in capfd.readouterr().err.splitlines() if "torch.compile" in line]
    assert len(lines) == 1 and lines[0].startswith("who: attacks run without torch.compile, which found: ")
    assert found.attacks == evaluate(trained(), x, y, suite("batched_apgd_ce linf"), RADII).attacks
    assert not recwarn.list
    torch._dynamo.reset()
