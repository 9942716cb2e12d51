"""A model that lies in other artifacts, on a root whose files are copied to this machine."""

import tempfile

import pytest

from jobs.artifacts import local_copies
from jobs.models.opened_model import OPENS, Opening, Source, adapter_on, model_folder
from tests.jobs.root import Root


@pytest.fixture
def remote(tmp_path, monkeypatch, tiny_model, word_tokenizer):
    """A root in memory with a base, a training that left an adapter on the way, and bystanders."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(local_copies, "_count", local_copies._Count())
    monkeypatch.setenv("DELTASCALE_COPIES_GB", "0")  # whatever nobody holds goes
    root = Root(f"memory://{tmp_path.name}-opened")
    tokenizer = word_tokenizer(eos_token="<end>")
    base = root.model("base", tiny_model("gpt2"), tokenizer)
    trained = root.model("trained", tiny_model("gpt2"), tokenizer, "align")
    kept = root.publish("kept", "align", write_snapshot)
    for name in ("bystander", "another"):
        root.publish(name, "probe", lambda folder: (folder / "out").write_text("x"))
    end = Opening(model=Source.of(trained))
    midway = Opening(
        model=Source.of(base),
        difference=Source.of(kept),
        folder="snapshots/3",
        form="adapter",
    )
    for name, opening in (("end", end), ("midway", midway)):
        facts = {OPENS: opening.to_json()}
        root.publish(name, "snapshot", lambda folder: (folder / "x").touch(), facts)
    return root


def write_snapshot(folder):
    (folder / "snapshots/3/adapter").mkdir(parents=True)
    (folder / "snapshots/3/adapter/adapter_model.safetensors").write_text("weights")


def make_room(root, name="bystander"):
    """Let another job copy something here, for which everything goes that is not held."""
    assert root.artifact(name).read("out") == b"x"


def test_the_copies_that_a_model_is_opened_from_stay_as_long_as_who_opened_it(remote):
    end = remote.artifact("end")
    folder = model_folder(end)
    make_room(remote)
    assert (folder / "model.safetensors").is_file()
    assert model_folder(end) == folder
    del end
    make_room(remote, "another")
    assert not folder.exists()


def test_so_do_those_of_an_adapter(remote):
    midway = remote.artifact("midway")
    adapter = adapter_on(remote.artifact("base"), midway)
    make_room(remote)
    assert (adapter / "adapter_model.safetensors").is_file()
    assert adapter_on(remote.artifact("trained"), midway) is None
