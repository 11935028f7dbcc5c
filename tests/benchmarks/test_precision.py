"""What bfloat16 costs: paired by seed, resumed from a cache of its own, and said on the page."""

import os

import pytest

from benchmarks import __main__ as command
from benchmarks import measured, precision


def run(folder, *options):
    file = folder / "measured.json"
    small = ["--epochs", "1", "--n", "12", "--methods", "nat", *options]
    assert command.main(["precision", "--work", str(folder / "work"), "--json", str(file), *small]) == 0
    return measured.read(file)[-1].rows


@pytest.mark.slow
def test_pairs_of_trainings_give_a_row_a_method_and_are_taken_from_the_cache_when_asked_again(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "somebody's"))
    (row,) = run(tmp_path, "--seeds", "20", "21")
    assert (row["method"], row["seeds"], row["n"], row["attacked"]) == ("nat", [20, 21], 12, 12)
    pairs = zip(row["unions"]["bfloat16"], row["unions"]["float32"], strict=True)
    assert row["union"]["mean"] == pytest.approx(sum(a - b for a, b in pairs) / 2, abs=0.01)
    assert set(row["standing"]) == {"float32", "bfloat16"}
    assert not (tmp_path / "somebody's").exists() and os.environ["MNGAC_CACHE"].endswith("somebody's")

    def never(*given):
        raise AssertionError("trained again")

    monkeypatch.setattr("mngac.training.stage.Trainer", never)
    (again,) = run(tmp_path, "--seeds", "20", "21")
    assert again == row
    capsys.readouterr()
    assert command.main(["page", str(tmp_path / "measured.json")]) == 0
    assert "| nat " in capsys.readouterr().out


def test_equal_is_said_only_where_the_interval_lies_within_a_point(monkeypatch):
    a = type("Options", (), {"seeds": [0, 1, 2], "dataset": "digits"})()
    monkeypatch.setattr(precision, "params", lambda a, precision: None)
    monkeypatch.setattr(precision, "standing", lambda a, method: {})

    class Of:
        n = 100

        def __init__(self, value):
            self.value = value

        def share(self, column):
            return self.value

    for gaps, within in (((0.1, -0.1, 0.0), True), ((0.5, 1.4, 0.9), False), ((-2.0, -2.1, -1.9), False)):
        monkeypatch.setattr(
            precision,
            "record",
            lambda of, dataset, method, seed, p, gaps=gaps: Of(50 + (gaps[seed] if p == "bfloat16" else 0)),
        )
        row = precision.row(a, "any")
        assert row["within"] is within and row["union"]["mean"] == pytest.approx(sum(gaps) / 3, abs=0.01)
