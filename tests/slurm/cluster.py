"""A Slurm of one node on this machine, of Debian's packages, run as whoever runs the tests; nothing of the system's.

No accounting, as on the smallest clusters: a job's state is what squeue says. The node has its own cores, more memory
than is here, so that profiles/slurm fits as it stands, and a GPU by name alone (/dev/null). Two partitions: jobs in
`urgent` preempt those in `usual`, which are queued again.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
"""Command -> Debian's package."""
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

FORMAT = "jobid:12,state:16,comment:200,numcpus:8,minmemory:16,timelimit:16,tres-per-job:40"
START = 30.0
"""Seconds until a daemon must be ready, and until all jobs must be gone."""

CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=600
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=100000 Gres=gpu:1
PartitionName=usual Nodes={host} Default=YES PriorityTier=1
PartitionName=urgent Nodes={host} PriorityTier=2
"""


def missing() -> list[str]:
    """Debian's packages whose commands are not here."""
    return [package for command, package in PACKAGES.items() if not shutil.which(command, path=PATH)]


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it."""

    number: str
    state: str
    rule: str
    """With its wildcards, as the plugin writes it into the comment."""
    cores: int
    memory: str
    limit: str
    gres: str
    """`gres:gpu:1` or `N/A`."""


@dataclass(frozen=True)
class Cluster:
    """A Slurm that runs."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What finds this Slurm: by a `srun` of its own too, since the plugin takes SLURM_CONF from its own srun."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def run(self, *command: str) -> str:
        """What a command of Slurm's prints."""
        env = {**os.environ, **self.environment}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    def jobs(self) -> list[Job]:
        """The oldest first; those that have ended, too."""
        lines = self.run("squeue", "--states=all", "--noheader", "--sort=i", f"--Format={FORMAT}").splitlines()
        rows = [line.split() for line in lines]
        return [Job(number, state, rule, int(cores), *rest) for number, state, rule, cores, *rest in rows]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _write(folder: Path) -> None:
    controller, node = _free_ports(2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = CONF.format(
        folder=folder,
        controller=controller,
        node=node,
        host=socket.gethostname().split(".")[0],
        user=getpass.getuser(),
        cores=os.cpu_count(),
    )
    (folder / "slurm.conf").write_text(conf)
    (folder / "bin").mkdir()
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))


def _commands(folder: Path) -> list[list[str]]:
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed", "key")]
    conf = f"{folder}/slurm.conf"
    return [
        ["munged", "--foreground", f"--socket={folder}/munge.socket", *files],
        ["slurmctld", "-D", "-f", conf],
        ["slurmd", "-D", "-f", conf],
    ]


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster, until the block ends; then nothing of it is left, jobs included."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 108 characters
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # munged wants its socket within everybody's reach
        _write(folder)
        stack.callback(_kill_strays, folder)
        cluster = Cluster(folder)
        for command in _commands(folder):
            stack.enter_context(_daemon(command, folder))
        _wait(lambda: set(cluster.run("sinfo", "--noheader", "--format=%T").split()) == {"idle"}, folder)
        stack.callback(_clear, cluster)
        yield cluster


@contextlib.contextmanager
def _daemon(command: list[str], folder: Path) -> Iterator[None]:
    said = folder / f"{command[0]}.said"
    env = {**os.environ, "PATH": PATH}
    with said.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], bool], folder: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.CalledProcessError):  # which is not up yet
            if ready():
                return
        time.sleep(0.2)
    said = "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.said")))
    raise RuntimeError(f"Slurm is not ready after {START:.0f} s\n{said}")


def _clear(cluster: Cluster) -> None:
    """Ends all jobs, and waits for their processes: the node's daemon would leave them alone when it ends."""
    cluster.run("scancel", f"--user={getpass.getuser()}")
    _wait(lambda: not cluster.run("squeue", "--noheader"), cluster.folder)


def _kill_strays(folder: Path) -> None:
    """Kills what a cancelled job has left: without cgroups Slurm loses sight of a process whose parent has ended."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_CONF") == f"{folder}/slurm.conf":
                process.kill()
