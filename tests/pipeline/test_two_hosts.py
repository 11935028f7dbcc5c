"""Two hosts and one cache, as far as one machine can show it: two systems, each with an engine and its own mount point.

Each has its own processes and host name, so that neither can tell whether the other's processes live. That needs root,
or user namespaces (unshare): where a machine has neither, the test fails and says so.
"""

import os
import re
import subprocess

import pytest
from helpers import environment, run, small, workspace
from outputs import outputs

from mngac.pipeline.cache import Cache

METHODS = ("nat", "adv_linf", "sat", "mng_ac")
ON_A_HOST = 'hostname "$1" && mount --bind "$2" "$3" && shift 3 && exec "$@"'


def host(name, store, mount):
    """What a command is put behind to be run on a host of that name, which mounts the store's folder there."""
    mount.mkdir()
    own = ["--user", "--map-root-user"] if os.getuid() else []
    unshared = ["unshare", *own, "--uts", "--mount", "--pid", "--fork", "--mount-proc"]
    return [*unshared, "sh", "-c", ON_A_HOST, "sh", name, str(store), str(mount)]


def at_work(folder, prefix, mount, *command):
    """Starts a command in a workspace on a host."""
    log = open(folder / "engine.log", "w")  # noqa: SIM115
    return subprocess.Popen([*prefix, *command], cwd=folder, env=environment(folder, mount), stdout=log, stderr=log)


@pytest.mark.slow
def test_two_engines_on_two_hosts_with_one_cache_train_each_method_once(tmp_path):
    store, engines = tmp_path / "store", {"snakemake": ["--cores", "1"], "dvc": ["repro"]}
    store.mkdir()
    hosts = {engine: host(f"host-of-{engine}", store, tmp_path / f"cache-of-{engine}") for engine in engines}
    for prefix in hosts.values():
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True)
        assert tried.returncode == 0, f"a second system needs root or user namespaces: {tried.stderr}"
    folders = {engine: workspace(tmp_path / engine, small(methods=METHODS)) for engine in engines}
    for folder in folders.values():
        run(folder, "git", "init", "-q")
    running = {
        engine: at_work(folders[engine], hosts[engine], tmp_path / f"cache-of-{engine}", engine, *arguments)
        for engine, arguments in engines.items()
    }
    for engine, process in running.items():
        assert process.wait() == 0, (folders[engine] / "engine.log").read_text()

    logs = [path.read_text() for folder in folders.values() for path in folder.glob("logs/*/*.log")]
    made = [entry.name for entry in Cache(store).entries()]
    assert len(made) == len(set(made)) == 1 + 2 * len(METHODS) + 5
    assert len(logs) == 2 * len(made)
    assert sum("cached, key" in log for log in logs) == len(made)
    assert sum("epoch 1/1" in log for log in logs) == len(METHODS)
    assert outputs(folders["snakemake"]) == outputs(folders["dvc"])
    waited = {found for log in logs for found in re.findall(r"waits for process \d+ on (\S+),", log)}
    assert waited <= {f"host-of-{engine}" for engine in engines}
    assert not any("takes over" in log or "was thought dead" in log for log in logs)
    assert len({path.name.split(".")[1] for path in store.glob("leases/*.lock")}) == 2
    assert not list(store.glob("leases/*.json")) and not list(tmp_path.glob("cache-of-*/*"))
