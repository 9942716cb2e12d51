"""A disk that does not answer is no fault of what lies on it: jobs wait for it."""

import errno
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import safetensors
from safetensors.numpy import save_file

import jobs.text.rows.file_bytes
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.models.folder import read_tensors
from jobs.sources.disk_fault import fault_of_disk
from jobs.sources.path_digests import digest_paths
from jobs.sources.plain_files import require_plain
from jobs.text.format import source_of
from jobs.text.rows.arrow_rows import read_parquet
from jobs.text.rows.file_bytes import read_bytes
from jobs.worker.answer import Fault

BAD_BLOCK = Path("/proc/self/mem")
"""A plain file whose first bytes the kernel answers with EIO."""


def assert_waited_for(fault, *words):
    """Check that a job that met it waits for the storage, and that a user reads the words."""
    assert isinstance(fault, SurroundingsError)
    assert Fault.of(fault).fault_class is FaultClass.STORAGE_AWAY
    assert all(word in str(fault) for word in words) and "download" not in str(fault)
    assert "--repair" not in str(fault), "nothing of ours can make the user's data again"


@pytest.mark.parametrize(
    "read",
    [
        read_bytes,
        lambda path: read_parquet(path, lambda name: True),
        lambda p: digest_paths(str(p)),
    ],
    ids=["rows", "parquet", "digest"],
)
def test_a_block_that_cannot_be_read_is_the_disk_s(read):
    with pytest.raises(SurroundingsError) as fault:
        read(BAD_BLOCK)
    assert_waited_for(fault.value, "cannot read mem", "Input/output error", "/proc/self")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EMFILE, errno.ENOTCONN])
@pytest.mark.parametrize(
    "read",
    [
        require_plain,
        lambda path: digest_paths(path),
        lambda path: source_of("text", Path(path)),
    ],
    ids=["looked at", "digest", "source"],
)
def test_a_source_that_cannot_be_looked_at_now_is_not_told_to_be_missing(
    read, number, tmp_path, monkeypatch
):
    path = tmp_path / "pairs.jsonl"
    path.write_text("{}\n")
    stat = os.stat

    def refuse(name, **options):
        if str(name) == str(path):
            raise OSError(number, os.strerror(number), name)
        return stat(name, **options)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(SurroundingsError) as fault:
        read(str(path))
    assert_waited_for(fault.value, "pairs.jsonl", os.strerror(number))


def test_a_packed_file_whose_disk_fails_half_way_is_not_told_to_be_cut_off(tmp_path, monkeypatch):
    class Failing(io.BytesIO):
        def read(self, *sizes):
            if self.tell() > 0:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(*sizes)

    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(os.urandom(1 << 16)))
    opened = Failing(path.read_bytes())
    monkeypatch.setattr(jobs.text.rows.file_bytes, "open", lambda *_: opened, raising=False)
    with pytest.raises(SurroundingsError) as fault:
        read_bytes(path)
    assert_waited_for(fault.value, "pairs.jsonl.gz")


def test_a_parquet_file_whose_disk_fails_half_way_is_not_told_to_be_broken(tmp_path, monkeypatch):
    path = tmp_path / "pairs.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"prompt": ["a"]}), path)

    def refuse(*args, **options):
        raise OSError(errno.ESTALE, "Error reading bytes from file. Detail: [errno 116] Stale …")

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", refuse)
    with pytest.raises(SurroundingsError) as fault:
        read_parquet(path, lambda name: True)
    assert_waited_for(fault.value, "pairs.parquet")


@pytest.mark.parametrize(
    "error",
    [
        safetensors.SafetensorError("Input/output error (os error 5)"),
        FileNotFoundError("No such file or directory: model.safetensors"),
    ],
    ids=["mapped", "opened"],
)
def test_weights_whose_disk_fails_are_not_told_to_be_cut_off(tmp_path, monkeypatch, error):
    path = tmp_path / "model.safetensors"
    save_file({"weight": np.zeros(4, dtype=np.float32)}, path)

    def refuse(*args, **options):
        raise error

    monkeypatch.setattr(safetensors, "safe_open", refuse)
    with pytest.raises(SurroundingsError) as fault:
        read_tensors(path, "the model")
    assert_waited_for(fault.value, "model.safetensors")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        IsADirectoryError(errno.EISDIR, "Is a directory"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        gzip.BadGzipFile("Not a gzipped file"),
        ValueError("a row says [Errno 5]"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_wrong_with_the_source_itself_is_no_fault_of_a_disk(error):
    assert fault_of_disk("data/pairs.jsonl", error) is None


def test_a_source_that_may_not_be_read_is_still_a_mistake(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(jobs.text.rows.file_bytes, "open", refuse, raising=False)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        read_bytes(tmp_path / "pairs.jsonl")
