"""What a GPU job would lack at its first step is said before a model is loaded."""

import os
import stat
import sysconfig
from pathlib import Path

import pytest

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from jobs.training import kernel_compiler
from jobs.training.kernel_compiler import CACHE, require_compiler

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH with nothing on it."""
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.delenv("CC", raising=False)
    return empty


def says(words):
    with pytest.raises(SurroundingsError, match=words) as caught:
        require_compiler()
    assert caught.value.fault_class is FaultClass.MISTAKE
    assert f"python{sysconfig.get_python_version()}-dev" in str(caught.value)


def with_headers(monkeypatch, folder):
    (folder / "Python.h").touch()
    monkeypatch.setattr(kernel_compiler, "_headers", lambda: str(folder))


def compiler(folder, name, script):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_no_compiler_or_one_that_is_not_there_is_said(bare, monkeypatch):
    says("no gcc and no clang")
    monkeypatch.setenv("CC", "gcc-99")
    says("no 'gcc-99', which CC names")


def test_missing_headers_are_said_with_the_file_that_is_missing(bare, tmp_path, monkeypatch):
    compiler(bare, "gcc", "exit 0")
    monkeypatch.setattr(kernel_compiler, "_headers", lambda: str(tmp_path / "nowhere"))
    says("there is no .*nowhere/Python.h")


def test_a_compiler_that_fails_is_quoted_and_one_that_works_is_enough(bare, tmp_path, monkeypatch):
    with_headers(monkeypatch, tmp_path)
    compiler(bare, "clang", "echo 'stdlib.h: no such file' >&2; exit 1")
    says("clang cannot compile .*stdlib.h: no such file")
    compiler(bare, "gcc", "exit 0")
    require_compiler()


def test_a_job_on_a_gpu_ends_before_its_model_is_loaded_and_one_on_a_processor_does_not(
    scored, bare
):
    params = {"max_length": 32, "steps": 1, "num_gpus": 1}
    answer, _ = scored.run("align", params, name="gpu", **INPUTS)
    assert answer["error"]["code"] == "surroundings", answer
    assert answer["error"]["fault_class"] == "mistake", answer
    assert "no gcc and no clang" in answer["error"]["message"]
    scored.done("align", {**params, "num_gpus": 0}, name="processor", **INPUTS)


def test_a_probe_that_is_given_a_gpu_says_it_too(root, bare):
    answer, _ = root.run("probe", {"num_gpus": 1})
    assert "no gcc and no clang" in answer["error"]["message"]
    root.done("probe", {})


@pytest.mark.parametrize("variable", ["HOME", "TRITON_HOME"])
def test_what_triton_builds_is_kept_in_the_temp_folder_where_the_home_takes_no_files(
    bare, tmp_path, monkeypatch, variable
):
    with_headers(monkeypatch, tmp_path)
    compiler(bare, "gcc", "exit 0")
    monkeypatch.setenv(CACHE, "")
    for name in ("HOME", "TRITON_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    require_compiler()
    assert not os.environ[CACHE], "the home takes files"
    full = tmp_path / "full"  # a file, in which nobody can make a folder
    full.touch()
    monkeypatch.setenv(variable, str(full))
    if variable == "HOME":
        monkeypatch.delenv("TRITON_HOME")
    require_compiler()
    kept = Path(os.environ[CACHE])
    assert kept.is_dir() and tmp_path not in kept.parents
    monkeypatch.setenv(CACHE, "/mine")
    require_compiler()
    assert os.environ[CACHE] == "/mine"
