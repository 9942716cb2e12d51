"""The file that makes a folder a root of ours."""

import pytest

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records.root_file import root_id


def test_a_root_keeps_its_identity(tmp_path):
    assert root_id(Storage(tmp_path)) == root_id(Storage(tmp_path))


def test_one_whose_file_goes_while_it_is_read_is_away(tmp_path, monkeypatch):
    def is_gone(self, name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(Storage, "read", is_gone)
    with pytest.raises(SurroundingsError, match="has gone while it was read") as fault:
        root_id(Storage(tmp_path))
    assert fault.value.fault_class is FaultClass.STORAGE_AWAY
