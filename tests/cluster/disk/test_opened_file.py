"""Files of a root that a disk opens and then does not give."""

import os

import pytest

from cluster.disk.below_root import BelowRoot
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage

WITHOUT_A_FIRST_PAGE = "/proc/self/mem"
"""The memory of this process: a plain file whose first bytes the kernel answers with EIO."""


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = Storage(tmp_path / "root")
    root.write("studies/a/ledger/one.jsonl", b"{}\n")

    def open_file(self, name):
        return os.open(WITHOUT_A_FIRST_PAGE, os.O_RDONLY)

    monkeypatch.setattr(BelowRoot, "open_file", open_file)
    return root


@pytest.mark.parametrize("how", ["read", "readline", "readinto"])
def test_a_file_that_fails_while_it_is_read_is_named(root, how):
    read = {
        "read": lambda stream: stream.read(),
        "readline": lambda stream: stream.readline(),
        "readinto": lambda stream: stream.readinto(bytearray(1 << 20)),
    }[how]
    with (
        pytest.raises(SurroundingsError, match="cannot read studies/a/ledger/one.jsonl: ") as fault,
        root.open("studies/a/ledger/one.jsonl") as stream,
    ):
        read(stream)
    assert fault.value.fault_class is FaultClass.STORAGE_AWAY
    assert fault.value.where == root.url and "--repair" in fault.value.hint


def test_what_is_opened_is_read_whole_and_line_by_line(tmp_path):
    root = Storage(tmp_path / "root")
    data = b"".join(b"%d\n" % number for number in range(100_000))
    root.write("numbers", data)
    with root.open("numbers") as stream:
        assert stream.read() == data
    with root.open("numbers") as stream:
        assert list(stream) == data.splitlines(keepends=True)
    with root.open("numbers") as stream:
        assert stream.seek(-3, os.SEEK_END) == len(data) - 3
        assert stream.read(2) == data[-3:-1]
