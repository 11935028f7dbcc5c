"""The GPUs that this process may use, each leased to one job at a time on its node.

Asked of NVIDIA's management library, not of CUDA: that reads CUDA_VISIBLE_DEVICES once a process, and a job sets it to
the one GPU that it has leased, by its UUID, whatever numbers a scheduler, a container or a user had given it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from mngac.params.errors import UserError, visible

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT = 1.0
"""Seconds between two looks whether a GPU is free."""
EVERYBODY = 0o777


def usable() -> list[str]:
    """UUIDs of the GPUs, and of the MIG instances of GPUs that are divided, that this process may use.

    As CUDA reads CUDA_VISIBLE_DEVICES: numbers, UUIDs or their beginnings, up to the first that names nothing. Numbers
    are nvidia-smi's.
    """
    here = _present()
    named = os.environ.get(VISIBLE)
    if named is None:
        return [uuid for group in here for uuid in group[1:] or group]
    found: list[str] = []
    for name in named.split(","):
        meant = _meant(name.strip(), here)
        if not meant:
            break
        found += [uuid for uuid in meant if uuid not in found]
    return found


def _meant(name: str, here: list[list[str]]) -> list[str]:
    """What an entry of CUDA_VISIBLE_DEVICES names."""
    if name.isdecimal():
        group = here[int(name)] if int(name) < len(here) else []
        return group[1:] or group
    if name.startswith("MIG-GPU-"):  # a GPU's UUID and two numbers, as older drivers name an instance
        return [name] if any(group[0] in name for group in here) else []
    fit = [uuid for group in here for uuid in group if name.startswith(("GPU-", "MIG-")) and uuid.startswith(name)]
    return fit if len(fit) == 1 else []


def _present() -> list[list[str]]:
    """For each GPU of the node, in nvidia-smi's order: its UUID, and those of its MIG instances."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, or none that works
        return []
    try:
        cards = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [[pynvml.nvmlDeviceGetUUID(each) for each in (card, *_instances(card))] for card in cards]
    finally:
        pynvml.nvmlShutdown()


def _instances(card: object) -> list[object]:
    import pynvml

    found: list[object] = []
    with contextlib.suppress(pynvml.NVMLError):  # a card that cannot be divided
        if pynvml.nvmlDeviceGetMigMode(card)[0]:
            for i in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(card)):
                with contextlib.suppress(pynvml.NVMLError):  # gaps between instances
                    found.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, i))
    return found


@contextlib.contextmanager
def leased_gpu(tell: Callable[[str], None]) -> Iterator[str]:
    """A GPU that no other job of this node holds, as the only one that this process sees. Before torch is imported.

    Engines count GPUs but assign none. Where all are held, it waits for one. The lock is the kernel's, which gives it
    back when its holder dies.

    Args:
        tell: is told once, in one line, who holds them.

    Raises:
        UserError: where none is to be seen.
    """
    names, before = usable(), os.environ.get(VISIBLE)
    if not names:
        seen = "" if before is None else f" ({VISIBLE} is {visible(before) or 'empty'})"
        allowed = "auto, cpu, or a machine with one; what the cache holds needs none"
        raise UserError(f'run.device: found "cuda", but no GPU is to be seen here{seen}; allowed: {allowed}')
    name, lock = _free(names, locks(), tell)
    os.environ[VISIBLE] = name
    try:
        yield name
    finally:
        os.environ.pop(VISIBLE, None)
        os.environ.update({} if before is None else {VISIBLE: before})
        lock.release()


def locks() -> Path:
    """The node's folder of locks, `$MNGAC_LOCKS`: in memory where there is such a place, for all who work here.

    Raises:
        UserError: where it can't be made.
    """
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    folder = Path(os.environ.get("MNGAC_LOCKS") or base / "mngac-gpus").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"MNGAC_LOCKS: found {folder}: {error.strerror}; allowed: a folder of this node") from error
    with contextlib.suppress(PermissionError):  # another user's, who has done it
        folder.chmod(EVERYBODY)
    return folder


def _free(names: list[str], folder: Path, tell: Callable[[str], None]) -> tuple[str, FileLock]:
    told = False
    while True:
        for name in names:
            path = _lock(folder, name)
            lock = FileLock(path, mode=EVERYBODY & 0o666)
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                path.write_text(f"process {os.getpid()} of {_user()}\n")
                return name, lock
        if not told:
            tell(f"waits for a GPU: {'; '.join(f'{name} is held by {_holder(folder, name)}' for name in names)}")
            told = True
        time.sleep(WAIT)


def _lock(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '-')}.lock"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


def _holder(folder: Path, name: str) -> str:
    try:
        return visible(_lock(folder, name).read_text().strip()) or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"
