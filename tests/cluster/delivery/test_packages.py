"""Packages as they are copied for other processes: their sources, all of them, and nothing else."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cluster.delivery.packages import (
    COMMIT,
    archive_packages,
    copy_packages,
    digest_packages,
    keep_packages,
    package_files,
)
from jobs.worker.versions import PACKAGES

TOP = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path with a package `wares` in it, and much that is no source of it."""
    package = tmp_path / "wares"
    (package / "shelf" / "__pycache__").mkdir(parents=True)
    (package / ".git").mkdir()
    (package / "__init__.py").write_text("WHAT = 'first'\n")
    (package / "shelf" / "__init__.py").write_text("")
    (package / "shelf" / "page.html").write_text("<p>")
    (package / ".git" / "hooks.py").write_text("")
    (package / ".env").write_text("KEY=1")
    (package / ".hidden.py").write_text("")
    (package / "prompts.jsonl").write_text("{}")
    (package / "weights.safetensors").write_bytes(b"0" * 9)
    (tmp_path / "outside.py").write_text("")
    (package / "link.py").symlink_to(tmp_path / "outside.py")
    (package / "shelf" / "__pycache__" / "old.cpython-311.pyc").write_bytes(b"0")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_sources_are_taken_and_data_links_secrets_and_hidden_files_are_not(folder):
    names = [name for name, _ in package_files(["wares"])]
    assert names == ["wares/__init__.py", "wares/shelf/__init__.py", "wares/shelf/page.html"]


def test_every_file_of_this_checkout_s_packages_is_taken():
    done = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=TOP, capture_output=True, text=True, check=True
    )
    taken = {name for name, _ in package_files(PACKAGES)}
    assert set(done.stdout.split()) <= taken


def test_a_digest_knows_a_changed_byte_a_new_file_and_a_new_name(folder):
    package, seen = folder / "wares", [digest_packages(["wares"])]
    (package / "__init__.py").write_text("WHAT = 'other'\n")
    seen.append(digest_packages(["wares"]))
    (package / "more.py").write_text("")
    seen.append(digest_packages(["wares"]))
    (package / "more.py").rename(package / "most.py")
    seen.append(digest_packages(["wares"]))
    (package / "prompts.jsonl").write_text("[]")
    assert digest_packages(["wares"]) == seen[-1], "data are no code"
    assert len(set(seen)) == 4


def test_a_copy_has_the_digest_of_its_source(folder, tmp_path_factory, monkeypatch):
    copy = tmp_path_factory.mktemp("copy")
    copy_packages(["wares"], copy, compiled=False)
    before = digest_packages(["wares"])
    monkeypatch.syspath_prepend(copy)
    assert next(package_files(["wares"]))[1].is_relative_to(copy)
    assert digest_packages(["wares"]) == before


def test_an_archive_holds_the_sources_and_is_the_same_whenever_it_is_made(folder, tmp_path):
    archive_packages(["wares"], tmp_path / "first.zip")
    for name, path in package_files(["wares"]):
        os.utime(path, (1, 1))
        with zipfile.ZipFile(tmp_path / "first.zip") as archive:
            assert archive.read(name) == path.read_bytes()
            assert len(archive.namelist()) == 3
    archive_packages(["wares"], tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_a_kept_copy_is_made_once_per_version_and_stays_as_it_was(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("state") / "code"
    first = keep_packages(["wares"], place, "abc+")
    assert (first / COMMIT).read_text() == "abc+\n"
    assert keep_packages(["wares"], place, "another note") == first
    assert (first / COMMIT).read_text() == "abc+\n"
    (folder / "wares" / "__init__.py").write_text("WHAT = 'other'\n")
    assert keep_packages(["wares"], place, "def") != first
    assert "first" in (first / "wares" / "__init__.py").read_text()
    assert place.stat().st_mode & 0o077 == 0
    assert not list(place.glob(".new-*"))


def test_what_python_compiled_holds_for_the_copy(folder, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    code = [sys.executable, "-c", "import wares; print(wares.__cached__)"]
    of_source = _run(code, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="")
    assert Path(of_source).is_file()
    copy_packages(["wares"], copy, compiled=True)
    of_copy = Path(_run(code, PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1"))
    assert of_copy.read_bytes() == Path(of_source).read_bytes()
    loud = _run([sys.executable, "-v", *code[1:]], PYTHONPATH=str(copy), stderr=True)
    assert f"matches {copy / 'wares' / '__init__.py'}" in loud


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match="no_such_wares"):
        digest_packages(["no_such_wares"])


@pytest.mark.slow
def test_an_installed_wheel_gives_what_the_checkout_gives(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"
    source.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES, "pyproject.toml", "README.md"],
        cwd=TOP, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((TOP / name).read_bytes())
    wheels = tmp_path / "wheels"
    built = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run([*pip, *built], check=True, timeout=300)
    site = tmp_path / "lab" / "site"
    (wheel,) = wheels.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, timeout=300
    )
    # Somebody's own repository around it: its commit is not the code's.
    subprocess.run(["git", "init", "-q", str(tmp_path / "lab")], check=True)
    told = (
        "from cluster.delivery.packages import digest_packages\n"
        "from jobs.worker.versions import code_commit, __file__ as where\n"
        f"print(where, digest_packages({PACKAGES!r}), code_commit())"
    )
    there, digest, commit = _run([sys.executable, "-c", told], PYTHONPATH=str(site)).split()
    assert there.startswith(str(site))
    assert commit == "None"
    there, of_source, _ = _run([sys.executable, "-c", told], PYTHONPATH=str(source)).split()
    assert there.startswith(str(source))
    assert digest == of_source


def _run(command, *, stderr=False, **variables):
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if stderr else None,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()
