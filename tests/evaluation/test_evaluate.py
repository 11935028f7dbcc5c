"""The evaluation itself: modes, resuming, processes, what raises, what is counted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from evaluation_helpers import RADII, digits, suite, trained
from helpers import ROOT, Heard
from torch import nn

from mngac.evaluation import tasks
from mngac.evaluation.loop import AttackFailed, evaluate
from mngac.evaluation.tasks import ranges
from mngac.params.errors import UserError

THREE = ("pgd linf", "apgd_ce linf", "pgd_l1 l1", "apgd_ce l1", "gaussian_noise l2", "apgd_ce l2")


class Broken(nn.Module):
    """Raises on every tenth batch that gradients are asked for: the probe asks for fewer."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, x):
        self.calls += x.requires_grad
        if x.requires_grad and self.calls % 10 == 0:
            raise RuntimeError("the tenth batch")
        return self.inner(x)


def test_a_function_of_images_is_enough():
    x, y = digits()
    weight = torch.randn(10, 64, generator=torch.Generator().manual_seed(0))
    found = evaluate(lambda x: x.flatten(1) @ weight.T, x, y, suite("apgd_ce linf"), RADII)
    assert len(found.clean) == len(found.attacks[0].correct) == 40


def test_uint8_and_unit_images_give_the_same():
    x, y = digits()
    bytes_ = (x * 255).round().to(torch.uint8)
    a = evaluate(trained(), bytes_, y, suite("apgd_ce linf"), RADII)
    b = evaluate(trained(), bytes_ / 255, y, suite("apgd_ce linf"), RADII)
    assert a.attacks == b.attacks


def test_a_second_run_is_identical_but_for_the_seconds():
    x, y = digits()
    runs = [evaluate(trained(), x, y, suite(*THREE), RADII) for _ in range(2)]
    assert runs[0].attacks == runs[1].attacks and runs[0].clean == runs[1].clean and runs[0].flags == runs[1].flags


def test_both_modes_agree_on_worst_cases_and_union_and_all_leaves_no_gap():
    x, y = digits()
    few = evaluate(trained(), x, y, suite(*THREE), RADII)
    full = evaluate(trained(), x, y, suite(*THREE, mode="all"), RADII)
    assert few.union() == full.union()
    assert all(few.robust(norm) == full.robust(norm) for norm in ("linf", "l1", "l2"))
    assert not any("." in a.correct for a in full.attacks)
    assert any("." in a.correct for a in few.attacks)
    assert all(f == "0" for a in full.attacks for c, f in zip(full.clean, a.correct, strict=True) if c == "0")


def test_union_is_the_and_of_all_flags():
    x, y = digits()
    found = evaluate(trained(), x, y, suite(*THREE, mode="all"), RADII)
    columns = [found.clean, *(a.correct for a in found.attacks)]
    assert found.union() == [set(image) == {"1"} for image in zip(*columns, strict=True)]
    assert 0 < sum(found.union()) < found.clean.count("1")


def test_later_attacks_pass_fewer_images_forward():
    x, y = digits()
    twice = evaluate(trained(), x, y, suite("apgd_ce linf", "apgd_ce linf"), RADII)
    first, second = twice.attacks
    assert (first.name, second.name) == ("apgd_ce", "apgd_ce_2")
    left = first.correct.count("1")
    assert second.correct.count(".") == 40 - left
    assert second.forwards / first.forwards == pytest.approx(left / twice.clean.count("1"), rel=0.2)


def test_pgd_lets_broken_images_go():
    x, y = digits()
    weak = evaluate(trained(), x, y, suite("pgd linf"), RADII.model_copy(update={"linf": 0.4}))
    strong = evaluate(trained(), x, y, suite("pgd linf"), RADII.model_copy(update={"linf": 0.001}))
    assert weak.attacks[0].forwards < 0.8 * strong.attacks[0].forwards


@pytest.mark.parametrize("level", [torch.nan, torch.inf, 0.0], ids=["nan", "inf", "constant"])
def test_a_classifier_that_is_broken_everywhere_gets_zero(level):
    x, y = digits()
    found = evaluate(lambda x: torch.full((len(x), 10), level) + 0 * x.sum(), x, y, suite("apgd_ce linf"), RADII)
    assert found.clean == "0" * 40
    assert sum(found.robust("linf")) == sum(found.union()) == 0


def test_a_classifier_that_always_errs_gets_zero():
    x, y = digits()
    inner = trained()
    found = evaluate(lambda x: -inner(x), x, y, suite("apgd_ce linf", "square linf"), RADII)
    assert sum(found.robust("linf")) == 0


def test_a_classifier_that_raises_stops_the_evaluation_with_attack_and_images():
    x, y = digits()
    with pytest.raises(AttackFailed, match=r"^apgd_ce linf 0 on images [\d, -]+: RuntimeError: the tenth batch$"):
        evaluate(Broken(trained()), x, y, suite("apgd_ce linf", batch_size=40), RADII)


def test_an_attack_that_is_not_made_for_the_norm_is_the_users_to_mend():
    x, y = digits()
    with pytest.raises(UserError, match=r"^L2CarliniWagnerAttack is made for l2, not for linf$"):
        evaluate(trained(), x, y, suite("carlini_wagner linf"), RADII)


def test_positions_are_told_as_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"


@pytest.mark.parametrize("bad", [torch.full((2, 1, 8, 8), 1.5), torch.full((2, 1, 8, 8), torch.nan)])
def test_images_outside_the_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"allowed: uint8, or float in \[0, 1\]"):
        evaluate(trained(), bad, torch.zeros(2, dtype=torch.int64), suite("apgd_ce linf"), RADII)


def test_finished_units_are_not_run_again(tmp_path):
    x, y = digits()
    file = tmp_path / "tasks.jsonl"
    first = evaluate(trained(), x, y, suite(*THREE), RADII, resume=file)
    text = file.read_text()
    lines = text.splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:20])
    again = evaluate(trained(), x, y, suite(*THREE), RADII, resume=file)
    assert again.attacks == first.attacks
    names = [json.loads(line[17:])["name"] for line in file.read_text().splitlines()]
    assert len(set(names)) == len(names) == len(lines)
    assert file.read_text().splitlines(keepends=True)[:3] == lines[:3]


@pytest.mark.parametrize("how", ["a byte of the text", "a byte of the digest", "half a line", "no line at all"])
def test_damaged_lines_of_finished_units_are_left_out_and_counted(tmp_path, how):
    x, y = digits()
    file, said = tmp_path / "tasks.jsonl", Heard()
    first = evaluate(trained(), x, y, suite(*THREE), RADII, resume=file)
    lines = file.read_bytes().splitlines(keepends=True)
    place = {"a byte of the text": 60, "a byte of the digest": 3}.get(how, 0)
    if place:
        lines[1] = lines[1][:place] + bytes([lines[1][place] ^ 4]) + lines[1][place + 1 :]
    else:
        lines[1] = lines[1][:40] + b"\n" if how == "half a line" else b"\x00\xff\xfe\n"
    file.write_bytes(b"".join(lines))
    again = evaluate(trained(), x, y, suite(*THREE), RADII, resume=file, log=said)
    assert again.attacks == first.attacks
    assert said.lines[0] == f": {file}: 1 lines are damaged and left out"
    assert len(file.read_text().splitlines()) == len(lines)


def test_findings_outlive_the_folder_that_they_are_saved_in(tmp_path):
    file = tmp_path / "work/tasks.jsonl"
    finished = tasks.Finished(file)
    for name in ("one", "two", "three"):
        finished.add(tasks.Finding(name, [0], [tasks.Outcome.BROKEN], 1, 0.0))
        if name == "two":
            shutil.rmtree(file.parent)
    assert tasks.Finished(file).findings == finished.findings


class Dying(nn.Module):
    """Ends the process that it is asked in, unless that is the first one."""

    def __init__(self):
        super().__init__()
        self.here = os.getpid()

    def forward(self, x):
        if os.getpid() != self.here:
            os._exit(1)
        return x.flatten(1)[:, :10]


@pytest.mark.slow
def test_a_worker_that_was_killed_is_told_of_in_one_line(monkeypatch):
    monkeypatch.setattr(tasks.torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(tasks.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    x, y = digits()
    net = Dying()
    y = net(x.float()).argmax(1)
    with pytest.raises(UserError, match=r"a worker process was killed, perhaps for its memory; .* batches are saved"):
        evaluate(net, x, y, suite("apgd_ce linf", processes=2), RADII)


@pytest.mark.parametrize(
    ("asked", "cores", "threads", "given"), [(4, 8, 1, 4), (4, 2, 1, 2), (4, 8, 4, 2), (2, 1, 4, 1)]
)
def test_no_more_processes_are_started_than_the_cores_hold(monkeypatch, asked, cores, threads, given):
    monkeypatch.setattr(tasks.os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(tasks.torch, "get_num_threads", lambda: threads)
    assert tasks.as_many_as_fit(asked) == given


@pytest.mark.slow
def test_two_processes_give_what_one_gives(monkeypatch):
    monkeypatch.setattr(tasks.torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(tasks.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    x, y = digits()
    one = evaluate(trained(), x, y, suite("apgd_ce linf", "pgd linf", batch_size=10), RADII)
    two = evaluate(trained(), x, y, suite("apgd_ce linf", "pgd linf", batch_size=10, processes=2), RADII)
    assert one.attacks == two.attacks


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = {folders!r}
import torch
torch.set_num_threads(1)
from test_evaluate import many_tasks
many_tasks(Path({file!r}))
"""


def many_tasks(file: Path | None):
    """An evaluation of some thirty tasks."""
    x, y = digits()
    attacks = ("apgd_ce linf", "apgd_ce l1", "apgd_ce l2")
    return evaluate(trained(), x, y, suite(*attacks, batch_size=4), RADII, resume=file)


@pytest.mark.slow
def test_killed_in_the_middle_it_resumes_and_finds_the_same(tmp_path):
    here, file = Path(__file__).parent, tmp_path / "tasks.jsonl"
    code = KILLED.format(folders=[str(here), str(here.parent)], file=str(file))
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    while not file.exists() or file.read_text().count("\n") < 5:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = file.read_text()
    kept = kept[: kept.rfind("\n") + 1]
    resumed, whole = many_tasks(file), many_tasks(None)
    assert (resumed.clean, resumed.attacks, resumed.flags) == (whole.clean, whole.attacks, whole.flags)
    assert 5 <= kept.count("\n") < file.read_text().count("\n")
    assert file.read_text().startswith(kept)
    names = [json.loads(line[17:])["name"] for line in file.read_text().splitlines()]
    assert len(set(names)) == len(names)
