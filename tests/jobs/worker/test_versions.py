"""Which commit of this code is recorded, whatever git is told around a launch."""

import os
import subprocess
from pathlib import Path

import pytest

from jobs.worker import versions


def git(folder, *words):
    words = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(words, cwd=folder, check=True, capture_output=True, env=environment)
    return done.stdout.decode().strip()


def checkout(folder, content):
    """A repository that holds this code, in miniature; returns its commit."""
    file = folder / versions._HERE
    file.parent.mkdir(parents=True)
    file.write_text(content)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "code")
    return git(folder, "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """The commit of a checkout that this code stands in."""
    monkeypatch.setattr(versions, "_TOP", tmp_path / "ours")
    versions.code_commit.cache_clear()
    yield checkout(tmp_path / "ours", "ours")
    versions.code_commit.cache_clear()


def test_the_file_that_tells_a_checkout_is_this_one():
    assert Path(versions.__file__).as_posix().endswith(versions._HERE)


def test_the_commit_is_that_of_this_code_where_git_works_on_another_repository(
    commit, tmp_path, monkeypatch
):
    """As in a hook, or in a shell that keeps dot files in a repository of their own."""
    assert checkout(tmp_path / "other", "other") != commit
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert versions.code_commit() == commit


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_checkout_of_somebody_else_has_its_commit(commit, tmp_path, monkeypatch):
    for path in (tmp_path / "ours", tmp_path / "ours" / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", str(tmp_path))  # whose settings may trust every folder
    assert versions.code_commit() == commit


def test_looking_for_the_commit_writes_nothing_into_the_repository(commit, tmp_path):
    """`git status` would take the index's lock, and write it where a file has another time."""
    index = tmp_path / "ours" / ".git" / "index"
    os.utime(tmp_path / "ours" / versions._HERE, (1, 1))
    before = index.read_bytes()
    assert versions.code_commit() == commit
    assert index.read_bytes() == before
    git(tmp_path / "ours", "status")
    assert index.read_bytes() != before  # as it would have
