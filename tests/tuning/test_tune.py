"""`mngac tune`: what it chooses from planted times, what it times, and what it says and leaves."""

import shutil

import pytest
import torch
import yaml
from helpers import raw_params, run, small, write_params

from mngac.cli import main
from mngac.models.layout import FORMATS
from mngac.params.checks import parse
from mngac.params.registry import find
from mngac.pipeline.jobs import job
from mngac.training.trainer import Trainer
from mngac.tuning import timing, tune
from mngac.tuning.choice import LEAST_GAIN, Compared, Timed, Whole, chosen, to_compile, whole_compiled, whole_of
from mngac.tuning.timing import TURNS, WARM, Clock, seconds_a_step

# ---------------------------------------------------------------- what is chosen


def timed(method, steps=100, trainings=1, **seconds):
    return Timed(method, trainings, steps, {"contiguous": 2.0, "channels_last": 1.0, **seconds})


def test_the_memory_format_is_that_of_the_shortest_run_not_of_most_methods():
    """Two methods of short steps gain by one format less than a third loses."""
    ours = [timed("a", channels_last=1.0, contiguous=0.9), timed("b", channels_last=1.0, contiguous=0.9)]
    ours.append(timed("c", steps=10, trainings=5, channels_last=20.0, contiguous=30.0))
    wholes = {name: whole_of(ours, name) for name in FORMATS}
    assert wholes["channels_last"].seconds == 100 + 100 + 5 * 10 * 20
    assert chosen(wholes, "contiguous") == "channels_last"
    assert chosen({name: whole_of(ours[:2], name) for name in FORMATS}, "channels_last") == "contiguous"


@pytest.mark.parametrize("stated", ["slow", "fast"])
def test_a_gain_within_the_noise_changes_nothing(stated):
    near = {"slow": Whole(100 * (LEAST_GAIN - 0.001)), "fast": Whole(100)}
    far = {"slow": Whole(100 * (LEAST_GAIN + 0.001)), "fast": Whole(100)}
    assert chosen(near, stated) == stated and chosen(far, stated) == "fast"


def wins(steps, compiling=40.0):
    """Whether compilation is chosen for one training, of steps that take one second eager and half of it compiled."""
    ours = [timed("a", steps)]
    compiled = whole_compiled(ours, "channels_last", {"a": Compared(1.0, 0.5, compiling)})
    assert compiled.steps == 0.5 * steps
    return chosen({"eager": whole_of(ours, "channels_last"), "compiled": compiled}, "eager") == "compiled"


def test_compilation_that_is_twice_as_fast_a_step_loses_by_a_short_training_and_wins_by_a_long_one():
    assert not wins(steps=79) and wins(steps=1000)


def test_each_training_pays_its_own_compilation():
    ours = [timed("a", steps=100, trainings=7)]
    assert whole_compiled(ours, "channels_last", {"a": Compared(1.0, 0.5, 40.0)}) == Whole(350.0, 280.0)


def test_methods_that_were_not_compiled_are_taken_in_proportion_to_those_that_were():
    """Steps at (1 + 8) / (2 + 10) of eager's, in their own whole; compiling at the mean, for each of the three."""
    ours = [timed("a"), timed("b", trainings=3, channels_last=4.0), timed("c", channels_last=5.0)]
    found = whole_compiled(ours, "channels_last", {"a": Compared(2.0, 1.0, 10.0), "c": Compared(10.0, 8.0, 30.0)})
    assert found.steps == pytest.approx(100 * 0.5 + 3 * 400 * 9 / 12 + 500 * 0.8)
    assert found.compiling == 10 + 3 * 20 + 30


def test_the_longest_the_middle_and_the_shortest_training_stand_for_all():
    ours = [timed(name, channels_last=float(k)) for k, name in enumerate("abcde", 1)]
    assert to_compile(ours, "channels_last") == ["e", "c", "a"]
    assert to_compile(ours[:2], "channels_last") == ["b", "a"]


# ---------------------------------------------------------------- what is timed


class Counted(Clock):
    """A clock that each step of a side puts forward by that side's own time."""

    time = 0.0

    def now(self):
        return Counted.time


@pytest.fixture
def tuning(tmp_path, monkeypatch):
    """The digits' trainings, small, and what their steps were: (memory format, norms that the entry says)."""
    monkeypatch.chdir(tmp_path)
    raw = small(methods=("nat", "mng_ac"), semi=("rst_linf", "mng_ac_rst_linf"), seeds=[0, 3])
    raw["training"]["digits"] |= {"epochs": 2, "steps_per_epoch": 4, "semi": {"steps_per_epoch": 5}}
    params = parse(raw)
    job(params, "data", dataset="digits").run()
    seen = []

    def take(self, number, rate):
        norms = self.method.config.norms
        seen.append((self.training.layout, norms))
        Counted.time += {"contiguous": 3.0, "channels_last": 2.0}[self.training.layout] * len(norms or [1])
        Counted.time += 60.0 * (number == WARM) + 9.0 * (norms == ["l1"])

    monkeypatch.setattr(Trainer, "_step", take)
    found = tune.Tuning(params, "digits", tune.Log())
    found.clock = Counted("cpu", 1)
    return found, seen


def test_steps_of_each_drawn_norm_are_taken_in_turns_and_the_median_is_kept(tuning):
    """The planted outlier of a turn is not in it; l1's 9 s more are in the mean over norms."""
    tuned, seen = tuning
    sides = {k: timing.trainer_of(tuned.data, tuned.plan("mng_ac"), layout=k) for k in FORMATS}
    found = seconds_a_step(sides, tuned.clock)
    assert found == {"contiguous": pytest.approx(6.0), "channels_last": pytest.approx(5.0)}
    assert seen == [(k, [norm]) for norm in ("linf", "l1", "l2") for _ in range(TURNS) for k in FORMATS]


def test_entries_that_say_the_same_are_timed_once_and_each_has_its_trainings_steps(tuning):
    tuned, seen = tuning
    found = {each.method: each for each in tuned.time()}
    assert len(seen) == 2 * (WARM + TURNS) * (1 + 3 + 1)
    assert found["mng_ac"].seconds == found["mng_ac_rst_linf"].seconds
    assert {name: (each.trainings, each.steps) for name, each in found.items()} == {
        "nat": (2, 8), "mng_ac": (2, 8), "rst_linf": (2, 10), "mng_ac_rst_linf": (2, 10)
    }  # fmt: skip


def test_the_kinds_that_draw_a_norm_a_batch_say_so():
    kinds = {entry["kind"] for entry in raw_params()["methods"].values() if "kind" in entry}
    assert {k for k in kinds if find("methods", k).load().draws_a_norm} == {"stochastic", "mng_ac", "eat"}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler: no g++ here")
def test_compilation_is_timed_with_an_empty_compilers_cache_in_a_process_of_its_own(tmp_path, monkeypatch):
    """A cache of one's own is neither read nor written, and this process compiles nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    params = parse(tiny())
    job(params, "data", dataset="digits").run()
    graphs = torch._dynamo.utils.counters["stats"].get("unique_graphs", 0)
    found = tune.Tuning(params, "digits", tune.Log())._apart("nat", "contiguous")
    assert isinstance(found, Compared) and min(found.eager, found.compiled, found.compiling) > 0
    assert not (tmp_path / "mine").exists()
    assert torch._dynamo.utils.counters["stats"].get("unique_graphs", 0) == graphs


# ---------------------------------------------------------------- what is said and left


def tiny(**stated):
    raw = small(methods=("nat", "sat"))
    raw["training"]["digits"] |= {"batch_size": 8, "model": "wrn_10_1", **stated}
    return raw


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def advised(said):
    """The part of params.yaml in an output."""
    return yaml.safe_load(said[said.index("\ntraining:\n") :])


def accepted(raw, lines):
    """The training of the digits with these lines of params.yaml in it."""
    raw["training"]["digits"] |= lines["training"]["digits"]
    return parse(raw).training_for("digits")


@pytest.mark.slow
def test_where_there_is_no_compiler_it_says_so_and_chooses_the_memory_format(tmp_path, monkeypatch):
    """A whole run of the command, from nothing; only the stage `data` leaves files."""
    monkeypatch.setenv("CXX", "/nonexistent")
    raw = tiny(compile=True)
    (tmp_path / "w").mkdir()
    write_params(tmp_path / "w", raw)
    done = run(tmp_path / "w", "mngac", "tune", cache=tmp_path / "cache")
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert done.stdout.count("  no torch.compile here: ") == 1 and "compiled" not in done.stdout
    assert done.stderr == "data digits: 10 classes; train 539, validation 135, unlabelled 225, test 898\n"
    training = accepted(raw, advised(done.stdout))
    assert training.layout in FORMATS and training.compile is False
    assert files(tmp_path / "w") == {
        "params.yaml", "data/digits.safetensors", "logs/data/digits.log", ".mngac/stamps/data/digits.json",
        ".mngac/stamps/data/.lock",
    }  # fmt: skip
    assert not (tmp_path / "cache/work").exists() or not any((tmp_path / "cache/work").iterdir())


def test_a_run_prints_lines_that_params_accept_and_leaves_nothing_trained(tmp_path, monkeypatch, capsys):
    """Steps are real; compilation is planted: ten times as fast a step, and far longer than the trainings."""
    monkeypatch.setattr(tune.Tuning, "_apart", lambda self, method, layout: Compared(1.0, 0.1, 1e6))
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, tiny(compile=True))
    assert main(["tune", "--dataset", "digits"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100 and "compiled, and gain a step: " in said
    training = accepted(tiny(compile=True), advised(said))
    assert training.layout in FORMATS and training.compile is False
    assert {path.split("/")[0] for path in files(tmp_path)} == {"params.yaml", "data", "logs", ".mngac", "cache"}
    assert not (tmp_path / "cache/work").exists() or not any((tmp_path / "cache/work").iterdir())


@pytest.mark.parametrize("compiling", [0.0, 1e6])
def test_it_says_where_params_say_so_already(tmp_path, monkeypatch, capsys, compiling):
    monkeypatch.setattr(tune.Tuning, "_seconds", lambda self, method: {"contiguous": 2.0, "channels_last": 1.0})
    monkeypatch.setattr(tune.Tuning, "_apart", lambda self, method, layout: Compared(1.0, 0.1, compiling))
    monkeypatch.chdir(tmp_path)
    best = {"layout": "channels_last", "compile": not compiling}
    for stated in (best, best | {"layout": "contiguous"}, best | {"compile": not best["compile"]}):
        write_params(tmp_path, tiny(**stated))
        assert main(["tune"]) == 0
        said = capsys.readouterr().out
        assert advised(said) == {"training": {"digits": best}}
        assert ("just what" in said) == (stated == best)


def test_a_wrong_data_set_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, tiny())
    assert main(["tune", "--dataset", "nowhere"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith('mngac: --dataset: found "nowhere"; allowed: digits, ') and said.err.count("\n") == 1
    assert said.out == "" and files(tmp_path) == {"params.yaml"}
