"""Files spoilt at random are read or refused in one line; a few here, 10,000 and 200 commands by `make fuzz`."""

import pytest
from bad_input import project
from fuzz.kinds import KINDS
from fuzz.run import by_command, in_process, prepared


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The right project, and a copy as the working folder."""
    right = prepared(project.build(tmp_path / "built"), tmp_path / "right")
    folder = prepared(right, tmp_path / "folder")
    monkeypatch.chdir(folder)
    return right, folder


def test_spoilt_files_are_read_or_refused(folders):
    ended, wrong = in_process(*folders, cases=30 * len(KINDS), seed=0)
    assert not wrong, "\n".join(wrong)
    refused = {name.split(":")[0] for name in ended if name.endswith("refused")}
    assert refused >= set(KINDS) - {"cache entry"}, "some kind is never refused: its files are not spoilt"


@pytest.mark.slow
def test_commands_on_spoilt_files_succeed_or_say_one_line(folders):
    _, wrong = by_command(*folders, cases=2 * len(KINDS), seed=1)
    assert not wrong, "\n".join(wrong)
