"""A hub on loopback that huggingface_hub asks in this process."""

import pytest
from huggingface_hub import constants

from tests.hub_server.server import HubServer


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub without repositories; whoever adds one adds it to `repositories`."""
    server = HubServer({})
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    server.close()
