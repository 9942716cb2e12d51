"""Everything is asked before anything comes; what the root remembers of a branch counts."""

import json

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.hub.repository import Repository
from orchestrator.cli import main
from orchestrator.fetching.fetch import ask_hub, require_room
from orchestrator.fetching.needs import Need
from tests.hub_server.server import HostedRepository, HubServer, ask_here

LINES = ("the cat sat on a mat " * 8 + "\n") * 9
NEWER = "f" * 40
STUDY = """
study: lines
stages:
  texts: {kind: prompts, params: {format: text, source: "hf://datasets/org/a", options: {held_out: 0}, positions: [last]}}
"""  # noqa: E501


@pytest.fixture
def hub(monkeypatch, tmp_path):
    names = ("org/a", "org/b", "org/c")
    server = HubServer(
        {
            ("dataset", name): HostedRepository({"a.txt": LINES.encode()}, "dataset")
            for name in names
        }
    )
    ask_here(monkeypatch, server, tmp_path / "cache")
    yield server
    server.close()


def need(name, revision=None):
    repository = Repository(type="dataset", name=name)
    return Need(
        source=f"hf://datasets/{name}",
        repository=repository,
        revision=revision,
        known_name=f"{repository}@{revision or 'main'}",
    )


def test_all_that_the_hub_refuses_is_one_message(hub, tmp_path):
    hub.repositories["dataset", "org/a"].gated = True
    hub.repositories["dataset", "org/b"].files = {"README.md": b"nothing else"}
    asked = [need("org/a"), need("org/b"), need("org/c"), need("org/none"), need("org/c", "v9")]
    with pytest.raises(UserError) as caught:
        ask_hub(Storage(tmp_path), asked, {})
    for part in ("4 of what", "org/a is gated", "no such file", "org/none does not exist", "'v9'"):
        assert part in caught.value.error
    assert caught.value.hint.count("accept its terms") == 1
    assert not hub.counts()


def test_a_disk_that_is_too_small_is_told_before(hub, tmp_path):
    parcels, known = ask_hub(Storage(tmp_path), [need("org/a"), need("org/b")], {})
    assert known == dict.fromkeys(
        ("hf://datasets/org/a@main", "hf://datasets/org/b@main"), parcels[0].shelf.commit
    )
    require_room(parcels, 2 * len(LINES))
    require_room(parcels, None)
    with pytest.raises(SurroundingsError, match="do not fit"):
        require_room(parcels, 2 * len(LINES) - 1)


def test_what_a_branch_stood_for_on_the_root_counts_though_it_has_moved(hub, tmp_path, capsys):
    (tmp_path / "lines.yaml").write_text(STUDY)
    words = [str(tmp_path / "lines.yaml"), "--root", str(tmp_path / "root"), "--json"]
    assert main(["fetch", *words, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["fetched"] is False
    root = Storage(tmp_path / "root")
    assert not root.exists("root.json")
    assert main(["fetch", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["downloaded"] == len(LINES) and document["absent"] == []
    hosted = hub.repositories["dataset", "org/a"]
    before, hosted.commit = hosted.commit, NEWER
    root.remove(f"hub/datasets/org--a/{before}")
    with pytest.raises(UserError, match="has no revision"):  # the hub has dropped it
        ask_hub(root, [need("org/a")], {"hf://datasets/org/a@main": before})
