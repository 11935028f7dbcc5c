"""Several users of one cache: what each may do with what another has made, and one line where it is not shared."""

import os
import pickle
import re
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from mngac.params.errors import UserError
from mngac.pipeline.cache import Cache, key_of

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
GROUP, ANNA, BERT = 54320, 54321, 54322
PARTS = {"stage": "train", "wildcards": {"method": "nat"}}
KEY = key_of(PARTS)


@pytest.fixture
def place():
    """A folder that all users see, each with a home in it."""
    with tempfile.TemporaryDirectory(prefix="mngac-users-") as name:
        Path(name).chmod(0o755)
        for user in (ANNA, BERT):
            (home := Path(name, str(user))).mkdir()
            os.chown(home, user, GROUP)
        yield Path(name)


def as_user(user, umask, place, do):
    """What a function returns to a user of the group, in a process of its own; raises what it raises."""
    reads, writes = os.pipe()
    if not (child := os.fork()):
        try:
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(umask)
            os.chdir(place / str(user))
            answer = (do(), None)
        except BaseException as error:
            answer = (None, error)
        os.write(writes, pickle.dumps(answer))
        os._exit(0)
    os.close(writes)
    with open(reads, "rb") as file:
        value, error = pickle.loads(file.read())
    os.waitpid(child, 0)
    if error:
        raise error
    return value


def store(root, text="weights"):
    cache = Cache(root, lambda line: None)
    with cache.lease(KEY, wait=False):
        made = cache.make(cache.work(KEY) / "outputs")
        (made / "out").write_text(text)
        cache.store(KEY, PARTS, made)


def restore(root):
    cache = Cache(root, lambda line: None)
    with cache.lease(KEY, wait=False):
        entry = cache.find(KEY)
        return bool(entry and cache.restore(entry, {"out": "out"})) and Path("out").read_text()


def spoil(root):
    (Cache(root).folder(KEY) / "out").write_text("rubbish")


def prune(root):
    return len(Cache(root, lambda line: None).prune(older_than_days=-1))


def group_cache(place):
    """As docs/reliability.md says that a cache for several users is made."""
    root = place / "cache"
    root.mkdir()
    os.chown(root, -1, GROUP)
    root.chmod(stat.S_IMODE(root.stat().st_mode) | 0o2070)
    return root


def test_users_of_a_group_do_with_its_cache_what_one_user_does_whatever_their_umasks(place):
    root = group_cache(place)
    as_user(ANNA, 0o077, place, lambda: store(root))
    assert as_user(BERT, 0o027, place, lambda: restore(root)) == "weights"
    as_user(BERT, 0o027, place, lambda: spoil(root))
    assert as_user(ANNA, 0o077, place, lambda: restore(root)) is False  # which drops it
    as_user(BERT, 0o027, place, lambda: store(root, "again"))
    assert as_user(ANNA, 0o077, place, lambda: restore(root)) == "again"
    for path in root.rglob("*"):
        about = path.stat()
        assert about.st_gid == GROUP, path
        assert stat.S_IMODE(about.st_mode) & 0o070 == (0o070 if path.is_dir() else 0o060), path
    assert as_user(BERT, 0o077, place, lambda: prune(root)) == 1


def test_what_a_killed_user_held_another_takes(place):
    root = group_cache(place)

    def killed():
        with Cache(root, lambda line: None).lease(KEY):
            os._exit(0)

    with pytest.raises(EOFError):
        as_user(ANNA, 0o077, place, killed)
    assert len(list(root.glob("leases/*.json"))) == 1
    as_user(BERT, 0o077, place, lambda: store(root))
    assert as_user(ANNA, 0o077, place, lambda: restore(root)) == "weights"


def test_a_cache_that_its_group_may_read_is_read_and_nothing_is_written(place):
    root = place / str(ANNA) / "cache"
    as_user(ANNA, 0o027, place, lambda: store(root))
    (place / str(ANNA)).chmod(0o755)
    assert as_user(BERT, 0o022, place, lambda: restore(root)) == "weights"
    assert (place / str(BERT) / ".mngac/cache/leases").is_dir()


@pytest.mark.parametrize("opened", [False, True], ids=["a private cache", "private folders in a group's"])
def test_of_a_cache_that_is_not_shared_one_line_says_how_to_share_it_and_that_helps(place, opened):
    root = place / str(ANNA) / "cache"
    as_user(ANNA, 0o077, place, lambda: store(root))
    (place / str(ANNA)).chmod(0o755)
    if opened:
        root.chmod(0o2775)
    with pytest.raises(UserError) as refused:
        as_user(BERT, 0o022, place, lambda: restore(root))
    line = str(refused.value)
    assert "\n" not in line and len(line) < 300
    found = re.fullmatch(rf"{root}: no permission in it; users who share .* says in it: (.*)", line)
    subprocess.run(found[1].replace("GROUP", str(GROUP)), shell=True, check=True, cwd=root)
    assert as_user(BERT, 0o022, place, lambda: restore(root)) == "weights"
    as_user(BERT, 0o077, place, lambda: spoil(root))
    as_user(ANNA, 0o077, place, lambda: store(root, "again"))
    assert as_user(BERT, 0o077, place, lambda: restore(root)) == "again"
