"""Keys are of what a result depends on: whoever computes one, wherever, finds what another has stored."""

import json
import os
import shutil
import subprocess
import sys

from helpers import small, workspace

from mngac.params.checks import parse
from mngac.pipeline.jobs import jobs

KEYS = """
import json, os, socket
from mngac.params.checks import load
from mngac.pipeline.cache import key_of
from mngac.pipeline.jobs import jobs
print(json.dumps([socket.gethostname(), {job.command: key_of(job.key_parts()) for job in jobs(load())}]))
"""
RAW = small(methods=("nat", "mng_ac"), semi=("rst_linf",))


def keys(folder, umask, *behind, **variables):
    """The host's name, and the keys of all jobs of the workspace in an environment of these variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found = subprocess.run(
        [*behind, sys.executable, "-c", KEYS],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(folder), **variables},
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_a_key_is_the_same_on_every_node_for_every_user_in_every_place(tmp_path):
    here, there = workspace(tmp_path / "here", RAW), tmp_path / "a longer way/où l'on va"
    for job in jobs(parse(RAW)):
        for path in job.inputs.values():
            (here / path).parent.mkdir(parents=True, exist_ok=True)
            (here / path).write_text(path)
    shutil.copytree(here, there, copy_function=shutil.copyfile)  # whose files are newer
    (tmp_path / "home").mkdir()
    own = ["--user", "--map-root-user"] if os.getuid() else []
    renamed = ["unshare", *own, "--uts", "sh", "-c", 'hostname far && exec unshare --user --map-user=4711 "$@"', "sh"]
    one = keys(here, 0o022, MNGAC_CACHE=str(tmp_path / "one"), LC_ALL="C", TZ="UTC", PYTHONHASHSEED="1")
    other = keys(
        there,
        0o077,
        *renamed,
        MNGAC_CACHE=str(tmp_path / "two"),
        HOME=str(tmp_path / "home"),
        USER="far",
        LC_ALL="C.UTF-8",
        TZ="Asia/Tokyo",
        PYTHONHASHSEED="2",
        OMP_NUM_THREADS="7",
        PYTHONUTF8="1",
    )
    assert other[0] == "far" != one[0]
    assert one[1] == other[1] and len(set(one[1].values())) == len(jobs(parse(RAW)))


def test_a_key_names_the_versions_of_what_its_code_imports_and_of_nothing_else():
    """So that `quick` needs no package whose attacks it does not use, nor is evaluated anew after another version."""
    raw = small(methods=("nat",), suites=["quick", "apgd", "paper"], challenges=["quick"])
    found = {job.name: set(job.stated()["versions"]) for job in jobs(parse(raw)) if job.stage.name == "evaluate"}
    assert found == {
        "digits-nat-0-quick-standard": {"torch"},
        "digits-nat-0-apgd-standard": {"torch", "pyautoattack"},
        "digits-nat-0-paper-standard": {"torch", "foolbox"},
    }
    challenged = next(job for job in jobs(parse(raw)) if job.stage.name == "challenge")
    assert set(challenged.stated()["versions"]) == {"torch", "pyautoattack"}
    for job in jobs(parse(raw)):
        if job.stage.name.endswith("figures"):
            assert "matplotlib" in job.stated()["versions"]
