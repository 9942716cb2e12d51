"""A hub on loopback that huggingface_hub asks in this process."""

import pytest
from huggingface_hub import constants

from tests.hub_server.server import HubServer, ask_here


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub without repositories; whoever adds one adds it to `repositories`."""
    server = HubServer({})
    ask_here(monkeypatch, server, tmp_path / "cache")
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    yield server
    server.close()
