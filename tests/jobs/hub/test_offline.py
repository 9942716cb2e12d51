"""Jobs on a root that was fetched into ask no hub and hold no token."""

import json
import os
import subprocess
import sys

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from cluster.storage import Storage
from jobs.hub.offline import hub_offline, is_hub_offline

LOOK = """
import json, os, sys
import jobs.hub.offline
with jobs.hub.offline.hub_offline():
    from huggingface_hub import constants
    import datasets
    print(json.dumps([
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE, "HF_TOKEN" in os.environ,
        os.environ["TRANSFORMERS_OFFLINE"],
    ]))
print(json.dumps(os.environ.get("HF_TOKEN")))
"""


@pytest.fixture
def filled(tmp_path):
    root = Storage(tmp_path)
    root.write("hub/models/org--tiny/lock", b"")
    return root


def test_a_root_without_a_shelf_leaves_everything_as_it_was(tmp_path, filled, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert is_hub_offline(filled)
    assert not is_hub_offline(Storage(tmp_path / "another"))
    (tmp_path / "third").mkdir()
    (tmp_path / "third/hub").symlink_to(tmp_path / "hub")
    assert not is_hub_offline(Storage(tmp_path / "third"))


@pytest.mark.parametrize(("value", "is_offline"), [("0", False), ("no", False), ("1", True)])
def test_the_user_may_have_jobs_ask_the_hub(filled, monkeypatch, value, is_offline):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert is_hub_offline(filled) is is_offline


def test_libraries_that_are_loaded_already_are_off_too_and_only_as_long(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with hub_offline():
        assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
        assert "HF_TOKEN" not in os.environ
        with pytest.raises(OfflineModeIsEnabled):
            huggingface_hub.HfApi().model_info("org/tiny")
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
    assert os.environ["HF_TOKEN"] == "hf_of_this_test" and "HF_HUB_OFFLINE" not in os.environ
    with hub_offline(False):
        assert os.environ["HF_TOKEN"] == "hf_of_this_test"


@pytest.mark.slow
def test_libraries_that_are_loaded_later_are_off(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    seen, after = map(json.loads, done.stdout.splitlines())
    assert seen == [True, True, False, "1"] and after == "hf_of_this_test"
