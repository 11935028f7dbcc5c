"""Downloads go on where they broke off and count only with the right checksum."""

import hashlib

import pytest
from tiny_data import serving

from mngac.data import download
from mngac.params.errors import DataError
from mngac.pipeline.progress import Log

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.0)


def fetch(server, path, md5=MD5):
    return download.fetch(server.url, path, md5, Log())


def test_a_file_comes_whole(tmp_path):
    with serving(CONTENT) as server:
        assert fetch(server, tmp_path / "in" / "a.bin").read_bytes() == CONTENT
    assert [f.name for f in (tmp_path / "in").iterdir()] == ["a.bin"]


def test_a_broken_connection_is_taken_up_by_range(tmp_path):
    with serving(CONTENT, breaks_after=100_000) as server:
        assert fetch(server, tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, *(f"bytes={n}00000-" for n in range(1, 6))]


def test_a_server_without_ranges_starts_anew(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    with serving(CONTENT, ranges=False) as server:
        assert fetch(server, tmp_path / "a.bin").read_bytes() == CONTENT


def test_an_interrupted_download_is_no_data_and_the_next_run_goes_on(tmp_path):
    path = tmp_path / "a.bin"
    with serving(CONTENT, breaks_after=100_000, ranges=False) as server:
        with pytest.raises(DataError, match=r"the connection broke after 100,000 bytes .*run again, it resumes"):
            fetch(server, path)
        assert not path.exists()
        server.breaks_after, server.ranges, server.asked[:] = None, True, []
        assert fetch(server, path).read_bytes() == CONTENT
    assert server.asked == ["bytes=100000-"]


def test_a_whole_part_file_needs_no_byte_more(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    with serving(CONTENT) as server:
        assert fetch(server, tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_part_file_longer_than_the_servers_is_dropped(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    with serving(CONTENT) as server:
        assert fetch(server, tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_checksum_names_file_expected_and_found_and_leaves_nothing(tmp_path):
    with (
        serving(CONTENT) as server,
        pytest.raises(DataError, match=rf"a\.bin\.part: MD5 expected {'0' * 32}, found {MD5}"),
    ):
        fetch(server, tmp_path / "a.bin", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_file_put_in_place_by_hand_is_checked_too(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"something else")
    with serving(CONTENT) as server, pytest.raises(DataError, match=rf"a\.bin: MD5 expected {MD5}, found"):
        fetch(server, tmp_path / "a.bin")
    assert server.asked == []


def test_a_web_page_in_place_of_the_archive_is_recognised(tmp_path):
    page = b"<!DOCTYPE html><html>Please log in</html>"
    with serving(page) as server, pytest.raises(DataError, match="answers with an HTML page, not the archive"):
        fetch(server, tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()


def test_a_refusal_says_how_to_go_on_by_hand(tmp_path):
    with (
        serving(b"gone", status=404) as server,
        pytest.raises(DataError, match=r"404 .*; put the file in place by hand as .*a\.bin, or"),
    ):
        fetch(server, tmp_path / "a.bin")


def test_no_network_is_one_line_that_names_the_file_to_put_in_place(tmp_path):
    with pytest.raises(DataError, match=r"connection broke after 0 bytes .*by hand as .*a\.bin") as caught:
        download.fetch("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", MD5, Log())
    assert "\n" not in str(caught.value)
