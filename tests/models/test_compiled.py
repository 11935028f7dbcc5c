"""The compiled forward pass: whose weights it uses, when it is the plain one, and how it gives up."""

import copy
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mngac.models import compiled
from mngac.models.compiled import compile_forward, hindrance, plain


@pytest.fixture(autouse=True)
def _traced_alone(monkeypatch):
    """torch.compile traces, but leaves what it traced to eager: no C++ compiler is needed."""
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Network(nn.Module):
    """Knows whether it was traced when it ran."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).double()
        self.traced = torch.zeros(())

    def forward(self, x):
        if x.shape[0] > 99:
            raise ValueError("too many images")
        self.traced = torch.ones(()) if torch.compiler.is_compiling() else torch.zeros(())
        return self.layer(x.flatten(1))


def given(count=2):
    return torch.rand(count, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def network(said=None):
    torch.manual_seed(0)
    net = Network()
    compile_forward(net, "channels_last", (said if said is not None else []).append)
    return net


def test_within_plain_the_pass_is_not_the_compiled_one_however_often_it_is_asked_for():
    net, x = network(), given()
    for _ in range(2):
        net(x)
        assert net.traced
        with plain(net):
            with plain(net):
                net(x)
            net(x)
            assert not net.traced


def test_plain_leaves_a_forward_pass_of_ones_own_as_it_is():
    net = Network()
    net.forward = lambda x: x
    with plain(net):
        assert net(given()) is not None and net(1) == 1
    assert net(1) == 1 and hindrance(net) == ""


def test_a_copy_of_a_compiled_classifier_computes_with_its_own_weights():
    net, x = network(), given()
    before = net(x)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()
    assert twin(x).abs().max() == 0 and twin.traced
    with plain(twin):
        assert twin(x).abs().max() == 0 and not twin.traced
    torch.testing.assert_close(net(x), before)
    assert before.abs().max() > 0


def test_a_copy_made_within_plain_is_not_compiled_either():
    net, x = Network(), given()
    compile_forward(net, "contiguous", print)
    with plain(net):
        twin = copy.deepcopy(net)
    twin(x)
    assert not twin.traced
    net(x)
    assert net.traced


def test_images_of_one_channel_in_either_memory_format_are_one_graph():
    net, x = network(), given()
    torch._dynamo.utils.counters.clear()
    strides = [x.as_strided((2, 1, 2, 2), s) for s in ((4, 4, 2, 1), (4, 1, 2, 1))]
    first, second = (net(images) for images in strides)
    torch.testing.assert_close(first, second)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_more_graphs_than_torch_makes_end_compilation_in_one_line(capfd, recwarn):
    said = []
    net = network(said)
    wanted = [net.layer(given(count).flatten(1)) for count in range(1, 13)]
    found = [net(given(count)) for count in range(1, 13)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert said == [hindrance(net)] and "limit" in said[0] and "\n" not in said[0]
    assert not net.traced and capfd.readouterr().err == "" and not recwarn.list


def test_an_error_of_the_classifiers_own_is_told_as_no_hindrance():
    said = []
    net = network(said)
    with pytest.raises(ValueError, match="too many images"):
        net(given(100))
    assert said == [] and hindrance(net) == ""


CHILDREN = """
import os, torch
from pathlib import Path
from torch import nn
from mngac.models.compiled import compile_forward, hindrance
torch.set_num_threads(1)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.ReLU(), nn.Linear(32, 2))
compile_forward(net, "contiguous", print)
net(torch.rand(2, 1, 4, 4)).sum().backward()
print(len([p for task in Path("/proc/self/task").iterdir() for p in (task / "children").read_text().split()]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: no g++ here")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are counted in /proc: none here")
def test_where_torch_has_one_thread_no_further_process_compiles(tmp_path):
    env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CHILDREN]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
