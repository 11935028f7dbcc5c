"""A wheel: what it holds, that it works in any folder without the extras, and `mngac init` under both engines."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from documents.blocks import blocks
from helpers import ROOT, raw_params, small, write_params

from mngac.params.errors import UserError
from mngac.params.extras import EXTRAS
from mngac.params.shipped import overlay_file
from mngac.pipeline.package import STATED
from mngac.planning import init as project
from mngac.planning.init import FILES, dvc_yaml, init

SOURCE = ("mngac", "params", "workflow", "profiles", "docs/measurements.json", "params.yaml", "Snakefile", "dvc.yaml")
BUILT = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
BLOCK = f"""import sys
for name in {sorted(EXTRAS)}:
    sys.modules[name] = None
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package as its wheel installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*SOURCE, *BUILT):
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source"]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(site, folder, *command, without_extras=False, check=True):
    """A command in a folder, with the wheel's package in place of the checkout's."""
    paths = [str(site)]
    if without_extras:
        (site.parent / "blocked").mkdir(exist_ok=True)
        (site.parent / "blocked/sitecustomize.py").write_text(BLOCK)
        paths.insert(0, str(site.parent / "blocked"))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
def test_it_holds_the_workflow_and_the_parameters_and_no_tests(site):
    inside = site / "mngac/shipped"
    for name in ("params.yaml", "Snakefile", "dvc.yaml", "workflow/rules/train.smk", "workflow/report/features.rst"):
        assert (inside / name).read_bytes() == (ROOT / name).read_bytes()
    assert sorted(p.name for p in (inside / "params").iterdir()) == sorted(p.name for p in (ROOT / "params").iterdir())
    assert (inside / "commit").read_text() == "unknown\n"  # built from a copy that git does not know
    assert {p.name for p in site.iterdir()} == {"mngac", next(site.glob("*.dist-info")).name}
    assert (site / "mngac/py.typed").exists() and (site / "mngac/__init__.pyi").exists()
    assert not list(site.rglob("__pycache__"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "leaves"), [("docs/evaluation.md", []), ("docs/python.md", ["bars.safetensors", "sat.json"])]
)
def test_what_the_documents_do_from_python_runs_without_the_extras(site, tmp_path, document, leaves):
    scripts = [block.text for block in blocks(ROOT / document) if block.language == "python"]
    code = "\n".join([*scripts, "print(mngac.__file__)\n"])
    *said, where = run(site, tmp_path, sys.executable, "-c", code, without_extras=True).stdout.splitlines()
    assert where.startswith(str(site)) and any("| union |" in line for line in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == leaves


EXAMPLES = {
    "evaluate.py": ["| union |", "zoo.pt"],
    "train_on_a_folder.py": ["data pictures: 6 classes", "epoch 5/5", "| union |"],
    "add_a_method.py": ["noisy, loss", "adv_linf, loss", "| union |"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run_without_the_extras(site, tmp_path, name):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = run(site, tmp_path, sys.executable, f"examples/{name}", without_extras=True)
    said = done.stdout + done.stderr
    assert [part for part in EXAMPLES[name] if part not in said] == []
    if name == "add_a_method.py":
        compare = [sys.executable, "examples/compare.py", "noisy.json", "adv_linf.json"]
        assert "noisy alone classifies correctly" in run(site, tmp_path, *compare, without_extras=True).stdout


def test_every_example_is_run():
    scripts = {path.name for path in (ROOT / "examples").glob("*.py") if "import mngac\n" in path.read_text()}
    assert scripts == {*EXAMPLES, "compare.py"}


@pytest.mark.slow
def test_without_the_extras_a_run_says_what_to_install(site, tmp_path):
    done = run(site, tmp_path, sys.executable, "-m", "mngac", "init", "mine", without_extras=True)
    assert "mine/params.yaml" in done.stdout
    use = [sys.executable, "-m", "mngac", "use", "params/apgd_twins.yaml"]
    done = run(site, tmp_path / "mine", *use, without_extras=True, check=False)
    assert done.returncode == 2 and "pip install 'mngac[pipeline]'" in done.stderr


@pytest.mark.slow
def test_a_project_of_ones_own_under_both_engines(site, tmp_path, monkeypatch):
    monkeypatch.setenv("MNGAC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    run(site, tmp_path, "mngac", "init", "mine")
    write_params(folder, small(methods=("nat",)))
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    run(site, folder, *git, "add", ".")
    run(site, folder, *git, "commit", "--quiet", "--message", "Begin")
    own = run(site, folder, "git", "rev-parse", "--short=12", "HEAD").stdout.strip()
    run(site, folder, "snakemake", "--cores", "2", "results/tables/all.md")
    table = (folder / "results/tables/all.md").read_text()
    [path] = folder.glob("records/digits/nat/seed0/*.json")
    about = json.loads(path.read_text())["provenance"]
    assert (about["commit"], about["mngac"]) == ("unknown", project_version(site)) and about["project"] == own
    assert f"(mngac {about['mngac']}), project {own}" in table
    assert run(site, folder, "git", "status", "--short").stdout == ""
    assert "Nothing to be done" in run(site, folder, "snakemake", "--cores", "2", "results/tables/all.md").stderr
    said = run(site, folder, "dvc", "repro", "tables").stdout
    assert "package" in said and (folder / "results/tables/all.md").read_text() == table
    log = (folder / "logs/train/digits-nat-0.log").read_text()
    assert log.rstrip().splitlines()[-1].endswith("cached, key " + log.rstrip().split("key ")[-1])
    again = run(site, folder, "dvc", "repro", "tables").stdout
    assert "Running stage 'package'" in again and "Running stage 'train" not in again
    with open(site / "mngac/losses.py", "a") as module:
        module.write("\nNEW = 1\n")
    after = run(site, folder, "dvc", "repro", "--dry", "tables").stdout
    assert "Running stage 'package'" in after
    run(site, folder, "mngac", "package")
    assert "train@digits-nat-0" in run(site, folder, "dvc", "status").stdout


def project_version(site):
    return next(site.glob("*.dist-info")).name.split("-")[1].removesuffix(".dist")


def test_the_projects_dvc_yaml_differs_in_what_stages_depend_on_alone():
    ours, theirs = yaml.safe_load((ROOT / "dvc.yaml").read_text()), yaml.safe_load(dvc_yaml())
    package = theirs["stages"].pop("package")
    assert package == {"cmd": "mngac package", "always_changed": True, "outs": ["mngac-package.json"]}
    asked = 0
    for stage in theirs["stages"].values():
        asked += "mngac-package.json" in stage["deps"]
        stage["deps"] = ["mngac" if dep == "mngac-package.json" else dep for dep in stage["deps"]]
    assert theirs == ours and asked == len(ours["stages"])


def test_what_git_and_dvc_leave_out_of_a_project_they_leave_out_here_too():
    for name in (".gitignore", ".dvcignore"):
        assert set(FILES[name]().splitlines()) - {f"/{STATED}"} <= set((ROOT / name).read_text().splitlines())
    outputs = {line for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith(("/", "!", ".mngac"))}
    assert outputs <= set(FILES[".gitignore"]().splitlines())
    assert FILES[".dvc/config"]() == (ROOT / ".dvc/config").read_text()


def test_init_writes_into_a_folder_once_and_overwrites_nothing(tmp_path):
    written = init(str(tmp_path / "new/mine"))
    assert written == list(FILES) and all((tmp_path / "new/mine" / path).is_file() for path in written)
    assert yaml.safe_load((tmp_path / "new/mine/params.yaml").read_text()) == raw_params()
    assert (tmp_path / "new/mine/.git").is_dir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/Snakefile").write_text("# mine\n")
    with pytest.raises(UserError, match="found Snakefile; allowed: a folder without them"):
        init(str(tmp_path / "other"))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["Snakefile"]


def test_a_folder_in_a_repository_gets_none_of_its_own_and_without_git_dvc_is_told(tmp_path, monkeypatch):
    init(str(tmp_path / "outer"))
    for path in FILES:
        (tmp_path / "outer" / path).unlink()
    init(str(tmp_path / "outer/inner"))
    assert not (tmp_path / "outer/inner/.git").exists()
    monkeypatch.setattr(project.shutil, "which", lambda name: None)
    init(str(tmp_path / "bare"))
    assert not (tmp_path / "bare/.git").exists()
    assert "no_scm = true" in (tmp_path / "bare/.dvc/config").read_text()


def test_a_file_of_params_that_is_not_here_is_the_packages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert overlay_file("params/paper.yaml") == str(ROOT / "params/paper.yaml")
    for name in ("params/nowhere.yaml", "paper.yaml"):
        assert overlay_file(name) == name
    (tmp_path / "params").mkdir()
    (tmp_path / "params/paper.yaml").write_text("over: params.yaml\n")
    assert overlay_file("params/paper.yaml") == "params/paper.yaml"
