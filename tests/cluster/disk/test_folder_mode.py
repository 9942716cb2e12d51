"""Files that a library wrote for their owner alone, in a root that a group shares."""

import errno
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from cluster.disk.folder_mode import sync_and_let_in
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.worker.attempt_folder import AttemptFolder

KEY = "c" * 64


@pytest.fixture(params=[0o002, 0o022, 0o077], ids=["group", "readers", "private"])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_weights_and_checkpoints_are_for_all_whom_the_umask_lets_in(tmp_path, umask):
    attempt = AttemptFolder(Artifact(Storage(tmp_path / "root"), "probe", KEY), "one")
    for name in ("checkpoints/checkpoint-2/rank-0-of-1.safetensors", "model/model.safetensors"):
        (attempt.path / name).parent.mkdir(parents=True)
        save_file({"weight": np.zeros(4)}, attempt.path / name)
    (attempt.path / "model" / "large.safetensors").write_bytes(bytes(1 << 19))
    (attempt.path / "model" / "large.safetensors").chmod(0o600)

    attempt.publish("checkpoints/checkpoint-2")
    attempt.seal()

    files = [path for path in attempt.path.rglob("*") if path.is_file()]
    assert {path.name: oct(mode(path)) for path in files} == {
        path.name: oct(0o666 & ~umask) for path in files
    }


def test_a_file_that_may_run_stays_one_that_may(tmp_path):
    file = tmp_path / "script"
    file.write_bytes(b"")
    file.chmod(0o700)
    sync_and_let_in(file)
    assert mode(file) & 0o700 == 0o700


def test_a_file_system_without_modes_is_no_fault(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"")
    file.chmod(0o600)

    def refuse(descriptor, mode):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    sync_and_let_in(file)
    assert mode(file) == 0o600
