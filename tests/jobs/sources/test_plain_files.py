import os
import socket

import pytest

from cluster.errors import UserError
from jobs.sources import plain_files
from jobs.sources.plain_files import inside_of, require_plain


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text("{}")
    (tmp_path / "data/linked.jsonl").symlink_to(tmp_path / "data/a.jsonl")
    (tmp_path / "data/dangling").symlink_to(tmp_path / "gone")
    return tmp_path / "data"


def test_files_folders_and_what_is_not_there_pass(folder):
    for path in (folder, folder / "a.jsonl", folder / "linked.jsonl", folder / "gone", "hf://a/b"):
        require_plain(str(path))


def test_a_pipe_is_refused_alone_and_inside_a_folder(folder):
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", folder):
        with pytest.raises(UserError, match="pipe is a pipe"):
            require_plain(str(path))


def test_devices_and_sockets_are_refused(folder):
    with pytest.raises(UserError, match="a device"):
        require_plain("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        at = os.open(folder, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{at}/s")
        os.close(at)
        with pytest.raises(UserError, match="a socket"):
            require_plain(str(folder))


def test_a_home_and_what_holds_it_are_refused_before_they_are_walked(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "people/me"))
    (folder / "people/me").mkdir(parents=True)
    for path in ("/", str(folder), str(folder / "people/me")):
        with pytest.raises(UserError, match="not one source"):
            require_plain(path)
    (folder / "people/me/data").mkdir()
    require_plain(str(folder / "people/me/data"))


def test_a_folder_of_too_many_files_is_left_after_that_many(folder, monkeypatch):
    monkeypatch.setattr(plain_files, "MOST_FILES", 1)
    with pytest.raises(UserError, match="more than 1 files"):
        require_plain(str(folder))


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "x/" * 3000])
def test_what_can_be_no_path_is_refused_in_few_words(path):
    with pytest.raises(UserError, match="can be no path") as caught:
        require_plain(path)
    assert len(str(caught.value)) < 200


def test_links_to_folders_elsewhere_are_followed_and_those_back_inside_are_not(tmp_path):
    top, other = tmp_path / "top", tmp_path / "other"
    for place in (top / "here", other / "deep"):
        place.mkdir(parents=True)
        (place / "a.jsonl").write_text("{}")
    (top / "latest").symlink_to("here")
    (top / "up").symlink_to(tmp_path)
    (top / "away").symlink_to(other)
    (other / "again").symlink_to(other / "deep")
    (other / "round").symlink_to(other)
    (other / "back").symlink_to(top)
    found = [os.path.relpath(path, top) for path in inside_of(str(top))]
    assert found == ["away/deep/a.jsonl", "here/a.jsonl"]


def test_a_pipe_in_a_linked_folder_is_refused(folder, tmp_path):
    (tmp_path / "other").mkdir()
    os.mkfifo(tmp_path / "other/pipe")
    (folder / "linked").symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="pipe is a pipe"):
        require_plain(str(folder))
