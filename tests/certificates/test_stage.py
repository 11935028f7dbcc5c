"""What becomes of bounds: a job's file, the check that none of them is broken, the table between two numbers."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from helpers import small
from results_workspace import write_models

from mngac.certificates import bounds as process
from mngac.certificates import stage
from mngac.certificates.bounds import Found
from mngac.cli import main
from mngac.evaluation.acceptance import TOLERANCE
from mngac.params.checks import parse
from mngac.params.errors import ParamsError, UserError
from mngac.pipeline.jobs import job
from mngac.pipeline.paths import certificates_path
from mngac.report.blocks import further_blocks
from mngac.results import certificates
from mngac.results.certified_table import caption, collect, comma_separated, sections
from mngac.results.intervals import wilson
from mngac.results.json_file import RecordError
from mngac.results.printed import DASH
from mngac.results.red_flags import overstates

WILD = dict(dataset="digits", method="nat", seed="0", certificate="crown", profile="standard")
FACTORS = [0.01, "1/2", 1.0]


def raw(**entry):
    """A run of one method that asks for certificates on twelve images."""
    content = small(methods=("nat",), certificates=["crown"])
    content["evaluation"]["apgd"] |= {"attacks": content["evaluation"]["apgd"]["attacks"][:3]}
    content["certificates"]["crown"] |= {"factors": FACTORS, "n": 12, **entry}
    return content


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    write_models(tmp_path, ("nat",))


def certify(monkeypatch, lower, rounding=0.0, **entry):
    """Runs the job with planted bounds: (ball, correct images (n,)) -> lower bounds (n,)."""
    asked = []

    def planted(folder, images, labels, ask, balls, **about):
        asked.append((balls, about))
        return [Found(lower(ball, ask), rounding) for ball in balls]

    monkeypatch.setattr(stage, "bounds", planted)
    job(parse(raw(**entry)), "certify", **WILD).run()
    return certificates.read(certificates_path(WILD)), asked[0]


def nothing(ball, correct):
    return torch.full(correct.shape, -torch.inf)


def in_the_least(ball, correct):
    """Certifies what is correct, in balls that are far too small to break anything."""
    return torch.where(correct & (ball.radius < 0.02), 1.0, -torch.inf)


def everything(ball, correct):
    return torch.where(correct, 1.0, -torch.inf)


def test_a_job_writes_what_is_certified_and_what_attacks_left(workspace, monkeypatch):
    found, (_, about) = certify(monkeypatch, in_the_least)
    assert (found.n, found.bounds, found.suite, found.factors) == (12, "crown", "apgd", ["0.01", "1/2", "1.0"])
    assert found.columns() == ["linf", "l1", "l2", "union"] and "1" in found.clean
    for column in found.columns():
        assert found.certified("0.01", column) == [mark == "1" for mark in found.clean]
        assert not any(found.certified("1.0", column))
        assert sum(found.left("1.0", column)) <= sum(found.left("0.01", column))
    assert about["method"] == "crown" and about["slack"] == found.slack > 0


def test_the_certified_ball_holds_all_that_an_accepted_perturbation_may_be(workspace, monkeypatch):
    found, (balls, _) = certify(monkeypatch, nothing)
    assert [(ball.norm, ball.radius) for ball in balls] == [
        (norm, pytest.approx(radius * factor * 1.0002, rel=1e-12))
        for norm, radius in (("linf", 0.15), ("l1", 1.5), ("l2", 0.55))
        for factor in (0.01, 0.5, 1.0)
    ]
    assert [b.radius for b in found.balls[:3]] == ["0.0015", "0.015", "0.0055"]


def test_a_ball_whose_sides_are_rounded_by_more_than_its_room_is_refused_before_anything_is_computed(
    workspace, monkeypatch
):
    def never(ball, correct):
        raise AssertionError("bounds were asked for")

    with pytest.raises(UserError) as error:
        certify(monkeypatch, never, factors=[0.0019, 0.1])
    assert str(error.value) == (
        "certificates.crown.factors.0: found 0.0019, a radius of 0.000285 in linf; allowed: at least 0.0003, below "
        "which float32 rounds the ball's sides by more than its room"
    )
    found, _ = certify(monkeypatch, nothing, norms=["l2"], factors=[0.0001])
    assert found.balls[0].radius == "5.5e-05"


def test_from_the_least_radius_on_a_rounded_ball_holds_all_that_is_accepted():
    """In float64, of sides that float32 has rounded; just below it, some accepted point is outside."""
    x = torch.linspace(0, 1, 20_001)

    def missed(radius):
        sides = (x + radius * (1 + stage.ROOM)).clamp(0, 1).double()
        reached = (x.double() + radius * (1 + TOLERANCE)).clamp(0, 1)
        return bool((reached > sides).any())

    assert not any(missed(stage.LEAST * (1 + k / 200)) for k in range(200))
    assert any(missed(stage.LEAST * (1 - k / 1000)) for k in range(1, 51))


def test_a_wrong_certificate_ends_the_job_in_one_line(workspace, monkeypatch):
    with pytest.raises(UserError) as error:
        certify(monkeypatch, everything)
    line = r"digits-nat-0-crown-standard: image \d+ is certified and broken \(\w+\) at linf 0\.\d+; nothing is kept: .*"
    assert re.fullmatch(line, str(error.value))
    assert not Path(certificates_path(WILD)).exists()


def test_an_image_that_is_wrong_without_attack_is_in_no_certificate(workspace, monkeypatch):
    def wrong_ones(ball, correct):
        return torch.where(correct, -torch.inf, 1.0)

    with pytest.raises(UserError, match="is certified and broken \\(clean\\)"):
        certify(monkeypatch, wrong_ones)


def test_rounding_beyond_the_slack_ends_the_job_in_one_line(workspace, monkeypatch):
    found, _ = certify(monkeypatch, nothing)
    assert 0 < found.rounding < 0.1 * found.slack
    with pytest.raises(UserError, match=r"found float32 and float64 apart by .*; allowed: .*; nothing is certified"):
        certify(monkeypatch, nothing, rounding=0.2 * found.slack, n=11)


def test_without_the_environment_one_line_says_how_to_make_it(workspace, monkeypatch, capsys):
    Path("params.yaml").write_text(json.dumps(raw()))
    monkeypatch.setenv(process.NAMED, "/nowhere/python")
    assert main(["certify", *(word for name, value in WILD.items() for word in (f"--{name}", value))]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said == (
        "mngac: /nowhere/python: not found; allowed: the Python that has auto_LiRPA: make certify, or "
        "MNGAC_CERTIFY_PYTHON=PATH"
    )


def test_a_union_needs_all_norms(workspace, monkeypatch):
    found, _ = certify(monkeypatch, nothing, norms=["l2", "linf"])
    assert found.columns() == ["l2", "linf"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"norms": ["l2", "l2"]}, 'certificates.crown.norms: found ["l2", "l2"]; allowed: no norm twice'),
        ({"factors": [0.2, 0.1]}, "certificates.crown.factors: found [0.2, 0.1]; allowed: numbers that rise"),
        ({"method": "smoothing"}, "certificates.crown.method: found \"smoothing\"; allowed: 'crown_ibp' or 'crown'"),
        ({"sigma": 0.1}, "certificates.crown.sigma: unknown key; allowed: "),
    ],
)
def test_a_wrong_entry_is_refused(change, said):
    with pytest.raises(ParamsError) as error:
        parse(raw(**change))
    assert str(error.value).startswith(said)


def test_a_norm_that_the_first_suite_does_not_attack_is_refused():
    content = raw()
    content["evaluation"]["apgd"]["attacks"] = [
        a for a in content["evaluation"]["apgd"]["attacks"] if a["norm"] == "l2"
    ]
    with pytest.raises(ParamsError, match=r"certificates\.crown\.norms\.0: found \"linf\"; allowed: norms that apgd"):
        parse(content)


def test_a_job_in_norms_that_the_first_suite_does_not_attack_is_refused_though_the_run_does_not_name_it():
    content = raw()
    content["run"]["certificates"] = []
    content["evaluation"]["apgd"]["attacks"] = [
        a for a in content["evaluation"]["apgd"]["attacks"] if a["norm"] == "l2"
    ]
    params = parse(content)
    for stage_name in ("certify", "certified_table"):
        with pytest.raises(
            ParamsError, match=r"certificates\.crown\.norms\.0: found \"linf\"; allowed: norms that apgd"
        ):
            job(params, stage_name, **WILD)


def test_a_name_that_is_not_there_is_refused():
    content = raw()
    content["run"]["certificates"] = ["ibp"]
    with pytest.raises(ParamsError, match=r"run\.certificates\.0: found \"ibp\"; allowed: one of crown"):
        parse(content)


def test_a_file_whose_bounds_and_attacks_contradict_each_other_is_refused(workspace, monkeypatch):
    found, _ = certify(monkeypatch, in_the_least)
    content = json.loads(found.to_json())
    place = content["clean"].index("1")
    broken = content["balls"][1]
    for attack in broken["attacks"]:
        attack["correct"] = attack["correct"][:place] + "0" + attack["correct"][place + 1 :]
    Path("wrong.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match=f"bounds and attacks that agree, but image {place} is certified and broken"):
        certificates.read("wrong.json")
    content["surprise"] = 1
    Path("wrong.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match="surprise: Extra inputs"):
        certificates.read("wrong.json")


def test_the_table_says_between_which_numbers_or_a_dash(workspace, monkeypatch):
    found, _ = certify(monkeypatch, in_the_least)
    params = parse(raw())
    least, _, most = sections(params, "crown")
    clean = found.clean.count("1")
    low, high = 100 * wilson(clean, 12)[0], 100 * wilson(clean, 12)[1]
    share = 100 * clean / 12
    cell = f"{share:.1f} to {share:.1f} [{low:.1f}, {high:.1f}]"
    assert least.printed == [
        {"method": "nat", "clean": f"{share:.1f}", "l_inf": cell, "l_1": cell, "l_2": cell, "union": cell}
    ]
    assert set(most.printed[0].values()) - {"nat", f"{share:.1f}"} == {DASH}
    assert least.caption == caption(collect(params, "digits", "crown", "standard"), "0.01", least.flags)
    for part in ("12 test images", "l_inf 0.0015, l_1 0.015, l_2 0.0055 (standard)", "1 seed (0)", "suite apgd"):
        assert part in least.caption


def test_the_attacks_flags_are_kept_and_printed_with_the_rows_that_they_concern(workspace, monkeypatch):
    entry = raw()["evaluation"]["apgd"]
    overstated = overstates(entry["attacks"])
    found, _ = certify(monkeypatch, nothing)
    assert overstated and set(overstated) <= set(found.flags)
    for table in sections(parse(raw()), "crown"):
        assert table.flags == [f"{flag} [all rows]" for flag in found.flags]
        assert table.caption.endswith(f" Red flags of the attacks, at any of the radii: {'; '.join(table.flags)}.")


def test_the_csv_has_the_upper_bound_where_nothing_is_certified(workspace, monkeypatch):
    found, _ = certify(monkeypatch, nothing)
    lines = list(csv.DictReader(comma_separated(parse(raw()), "crown").splitlines()))
    assert len(lines) == 3 * 4
    line = next(line for line in lines if (line["factor"], line["norm"]) == ("1/2", "union"))
    left = sum(found.left("1/2", "union"))
    assert float(line["certified"]) == 0 and float(line["attacked"]) == pytest.approx(100 * left / 12, abs=1e-4)
    assert float(line["high"]) == pytest.approx(100 * wilson(left, 12)[1], abs=1e-4)


def test_the_table_stands_in_the_report(workspace, monkeypatch):
    certify(monkeypatch, in_the_least)
    params = parse(raw())
    job(params, "certified_table", certificate="crown").run()
    assert Path("results/tables/certified-crown.md").read_text().count("### Certified: digits, crown, standard, ") == 3
    ((anchor, title, body),) = further_blocks(params)
    assert (anchor, title) == ("further-certified-crown", "Certified-crown")
    assert sections(params, "crown")[0].printed[0]["union"] in body


def test_files_of_other_images_share_no_table(workspace, monkeypatch):
    certify(monkeypatch, nothing)
    first = json.loads(Path(certificates_path(WILD)).read_text())
    other = {**first, "seed": 1, "indices": first["indices"][::-1]}
    path = Path(certificates_path({**WILD, "seed": "1"}))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(other))
    content = raw()
    content["run"]["seeds"] = [0, 1]
    with pytest.raises(RecordError, match="differ in their indices; allowed: the same for all; certify them anew"):
        sections(parse(content), "crown")
    path.write_text(json.dumps({**other, "seed": 2}))
    with pytest.raises(
        RecordError, match="found the certificates of digits/nat/seed2/crown-standard; allowed: its own"
    ):
        sections(parse(content), "crown")


def test_several_seeds_have_a_standard_deviation(workspace, monkeypatch):
    certify(monkeypatch, in_the_least)
    first = json.loads(Path(certificates_path(WILD)).read_text())
    path = Path(certificates_path({**WILD, "seed": "1"}))
    path.parent.mkdir(parents=True)
    for ball in first["balls"]:
        ball["certified"] = "0" * 12
    path.write_text(json.dumps({**first, "seed": 1}))
    content = raw()
    content["run"]["seeds"] = [0, 1]
    row = collect(parse(content), "digits", "crown", "standard")[0]
    ends, share = row.between("0.01", "l2"), 100 * first["clean"].count("1") / 12
    assert ends["certified"] == pytest.approx(share / 2) and ends["attacked"] == pytest.approx(share)
    assert ends["low"] == pytest.approx(share / 2 - share / 2**0.5) and ends["high"] == pytest.approx(share)
