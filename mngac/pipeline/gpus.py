"""The GPUs that this process may use, each leased to one job at a time on its node.

Asked of NVIDIA's management library (NVML), not of CUDA: that reads CUDA_VISIBLE_DEVICES once a process, and a job sets
it to the one GPU that it has leased, by its UUID, whatever a scheduler, a container or a user had called it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mngac.params.errors import UserError, visible

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT = 1.0
"""Seconds between two looks whether a GPU is free."""
FOLDER_MODE, LOCK_MODE = 0o1777, 0o666
"""Everybody locks; nobody removes what is another's."""


@dataclass(frozen=True)
class Card:
    """A GPU, or what it is divided into.

    Attributes:
        uuid: `GPU-...`; empty for one that has dropped out, which keeps its number.
        divided: whether it is in MIG mode: then its instances can be used, and it can't.
        instances: of MIG, each by its UUID, `MIG-...`, and by its older name, `MIG-GPU-.../instance/compute instance`.
    """

    uuid: str
    divided: bool = False
    instances: list[tuple[str, str]] = field(default_factory=list)

    @property
    def usable(self) -> list[str]:
        """UUIDs of what a job can compute on."""
        return [uuid for uuid, _ in self.instances] if self.divided else [self.uuid] * bool(self.uuid)

    def called(self, name: str) -> list[str]:
        """What a UUID, the beginning of one or an older name means of this card; empty where it means none of it."""
        if self.uuid and name.startswith("GPU-") and self.uuid.startswith(name):
            return self.usable
        return [
            uuid for uuid, older in self.instances if name.startswith("MIG-") and name in (older, uuid[: len(name)])
        ]


class NoAnswer(Exception):  # noqa: N818
    """NVML says nothing of this machine: why, in its own words."""


def usable() -> list[str]:
    """UUIDs of the GPUs, and of the MIG instances of GPUs that are divided, that this process may use.

    CUDA_VISIBLE_DEVICES names them by numbers, which are nvidia-smi's, UUIDs or their beginnings, up to the first entry
    that names none, or more than one.

    Raises:
        NoAnswer: where NVML can't be asked.
    """
    cards, named = _present(), os.environ.get(VISIBLE)
    if named is None:
        return [uuid for card in cards for uuid in card.usable]
    found: list[str] = []
    for name in map(str.strip, named.split(",")):
        meant = [card.usable if name.isdecimal() else card.called(name) for card in _meant(name, cards)]
        if len(meant) != 1 or not meant[0]:
            break
        found += [uuid for uuid in meant[0] if uuid not in found]
    return found


def _meant(name: str, cards: list[Card]) -> list[Card]:
    """The cards that an entry of CUDA_VISIBLE_DEVICES may mean."""
    if name.isdecimal():
        return cards[int(name) :][:1] if len(name) < 4 else []
    return [card for card in cards if card.called(name)]


def _present() -> list[Card]:
    """The cards of this machine, in nvidia-smi's order.

    Raises:
        NoAnswer: where NVML can't be asked.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoAnswer(str(error)) from error
    try:
        return [_card(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        raise NoAnswer(str(error)) from error
    finally:
        pynvml.nvmlShutdown()


def _card(nvml: Any, number: int) -> Card:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        uuid = nvml.nvmlDeviceGetUUID(handle)
    except nvml.NVMLError:  # it has dropped out; the others are well
        return Card("")
    try:
        divided = bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:  # it can't be divided
        return Card(uuid)
    instances = []
    for i in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if divided else 0):
        with contextlib.suppress(nvml.NVMLError):  # there are gaps between instances
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, i)
            numbers = nvml.nvmlDeviceGetGpuInstanceId(instance), nvml.nvmlDeviceGetComputeInstanceId(instance)
            older = f"MIG-{uuid}/{numbers[0]}/{numbers[1]}"
            instances.append((nvml.nvmlDeviceGetUUID(instance), older))
    return Card(uuid, divided, instances)


@contextlib.contextmanager
def leased_gpu(tell: Callable[[str], None]) -> Iterator[str]:
    """A GPU that no other job of this node holds, as the only one that this process sees. Before torch is imported.

    Engines count GPUs but assign none. Where all are held, it waits for one. The lock is the kernel's, which gives it
    back when its holder dies.

    Args:
        tell: is told once, in one line, who holds them.

    Raises:
        UserError: where none is to be seen, or none can be locked.
    """
    before = os.environ.get(VISIBLE)
    try:
        names, why = usable(), f"{VISIBLE} is {visible(before) or 'empty'}" if before is not None else ""
    except NoAnswer as error:
        names, why = [], str(error)
    if not names:
        allowed = "auto, cpu, or a machine with one; what the cache holds needs none"
        reason = f" ({why})" if why else ""
        raise UserError(f'run.device: found "cuda", but no GPU is to be seen here{reason}; allowed: {allowed}')
    name, lock = _free(names, locks(), tell)
    os.environ[VISIBLE] = name
    try:
        yield name
    finally:
        os.environ.pop(VISIBLE, None)
        os.environ.update({} if before is None else {VISIBLE: before})
        lock.release()


def locks() -> Path:
    """The node's folder of locks, `$MNGAC_LOCKS`; by default one in /tmp, for all who work here.

    Raises:
        UserError: where it can't be made.
    """
    folder = Path(os.environ.get("MNGAC_LOCKS") or default()).absolute()
    try:
        folder.mkdir(parents=True)
        folder.chmod(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise UserError(_no_folder(folder, "is no folder")) from None
    except OSError as error:
        raise UserError(_no_folder(folder, error.strerror or str(error))) from error
    return folder


def default() -> Path:
    """The folder of locks where nothing else is said; not where TMPDIR says, which may be one's own."""
    return (Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())) / "mngac-gpus"


def _no_folder(folder: Path, why: str) -> str:
    return f"MNGAC_LOCKS: {folder}: {why}; allowed: a folder of this node that all who share its GPUs may write"


def _free(names: list[str], folder: Path, tell: Callable[[str], None]) -> tuple[str, FileLock]:
    """The first GPU that can be locked, and its lock."""
    told = False
    while True:
        failures = []
        for name in names:
            lock = FileLock(folder / f"{name}.lock", mode=LOCK_MODE)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            except OSError as error:  # of this one lock: another GPU may be free
                failures.append(error)
                continue
            _sign(Path(lock.lock_file))
            return name, lock
        if len(failures) == len(names):
            raise UserError(_no_folder(folder, failures[0].strerror or str(failures[0]))) from failures[0]
        if not told:
            tell(f"waits for a GPU: {'; '.join(f'{name} is held by {_holder(folder, name)}' for name in names)}")
            told = True
        time.sleep(WAIT)


def _sign(path: Path) -> None:
    """Says in a lock's file who holds it, as a courtesy to those who wait."""
    with contextlib.suppress(OSError), open(path, "r+") as file:
        file.truncate(file.write(f"process {os.getpid()} of {_user()}\n"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


def _holder(folder: Path, name: str) -> str:
    try:
        return visible((folder / f"{name}.lock").read_text().strip()) or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"
