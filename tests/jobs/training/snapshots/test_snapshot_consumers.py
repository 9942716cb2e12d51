"""Models on the way of a training, where other kinds read them: absent, as bases, and damaged."""

import pytest
import torch
from safetensors.torch import load_file

from jobs.kind import KINDS
from jobs.models.opened_model import adapter_on, model_folder
from tests.jobs.root import Root
from tests.jobs.training.ranks import stop_at

PARAMS = {"objective": "sft", "max_length": 32, "steps": 6, "learning_rate": 3e-3}
LORA = {"rank": 2, "alpha": 4.0}
LEAST = {
    "adapter": {"source": "/nowhere"},
    "align": {"objective": "dpo"},
    "behave": {},
    "export": {"dtype": "bfloat16"},
    "extract": {},
    "generated-pairs": {},
    "intervene": {"intervention": "add-mean-offset"},
    "predictions": {},
    "preferences": {},
    "probe-direction": {},
    "reference": {},
    "weights": {},
}
"""Kind that takes a model -> the least params that it runs with."""
TAKEN = [
    (kind, name)
    for kind in KINDS.names()
    for name, wanted in KINDS.find(kind).INPUTS.items()
    if wanted.kinds >= {"snapshot", "align"}
]


def trained(root, name, model="model", **params):
    inputs = {"model": model, "pairs": "pairs"}
    return root.done("align", {**PARAMS, **params}, name=name, **inputs)


def opened(root, aligned, label):
    name = f"{aligned} {label}"
    return root.done("snapshot", {"snapshot": label}, name=name, aligned=aligned)


def weights(artifact):
    return load_file(model_folder(artifact) / "model.safetensors")


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def absent(root):
    """The snapshot of a training that never came to it."""
    facts = {"absent": "there is no snapshot kl-9: training never reached it", "label": "kl-9"}
    return root.publish("absent", "snapshot", lambda folder: None, facts)


@pytest.mark.parametrize(("kind", "name"), TAKEN)
def test_whatever_reads_a_model_that_is_not_there_is_done_and_says_why(root, absent, kind, name):
    others = {
        other: root.artifact("model")
        for other, wanted in KINDS.find(kind).INPUTS.items()
        if wanted.required and other != name
    }
    artifact = root.done(kind, LEAST[kind], **{**others, name: absent})
    if KINDS.find(kind).INPUTS[name].dispensable:
        assert "absent" not in artifact.facts, "it can do without"
    else:
        assert artifact.facts == {"absent": absent.facts["absent"]} and not artifact.names()


def test_a_model_that_is_not_there_without_a_word_is_not_there_either(root):
    gone = root.publish("gone", "snapshot", lambda folder: None, {"absent": "", "label": "kl-9"})
    artifact = root.done("export", LEAST["export"], model=gone)
    assert artifact.facts == {"absent": ""} and not artifact.names()


@pytest.mark.parametrize("lora", [None, LORA])
def test_training_goes_on_from_a_snapshot_and_its_own_are_put_together_on_it(root, lora):
    trained(root, "first", snapshots={"steps": [3]}, lora=lora)
    middle = opened(root, "first", "step-3")
    further = trained(root, "further", "first step-3", snapshots={"steps": [2, 6]}, lora=lora)
    again, last = (opened(root, "further", label) for label in ("step-2", "step-6"))
    assert_equal(weights(last), weights(further))
    put, start = weights(again), weights(middle)
    assert put.keys() == start.keys() and any(not torch.equal(put[n], start[n]) for n in put)
    # From the weights of step 3 it goes another way than from the base.
    once = trained(root, "once", snapshots={"steps": [2, 6]}, lora=lora)
    assert any(not torch.equal(weights(once)[n], weights(further)[n]) for n in put)
    # An adapter stays one on the very model that it was trained on, and on no other.
    base = root.artifact("model")
    assert (adapter_on(middle, again) is None) == (adapter_on(middle, further) is None)
    assert (adapter_on(middle, again) is None) == (lora is None)
    assert adapter_on(base, again) is None


def test_a_released_adapter_goes_on_a_snapshot(root):
    trained(root, "adapter", lora=LORA)
    trained(root, "full", snapshots={"steps": [3]})
    base = opened(root, "full", "step-3")
    source = str(root.artifact("adapter").directory("adapter"))
    tuned = root.done("adapter", {"source": source}, name="tuned", base="full step-3")
    assert adapter_on(base, tuned) is not None
    before, after = weights(base), weights(tuned)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_an_exported_snapshot_says_which_model_of_the_run_it_is(root):
    trained(root, "full", snapshots={"steps": [3]})
    opened(root, "full", "step-3")
    how = {"model": "full step-3", "base": "model"}
    exported = root.done("export", {"dtype": "float32"}, name="exported", **how)
    assert_equal(weights(exported), weights(root.artifact("full step-3")))
    card = exported.read("model/README.md").decode()
    assert "| label | step-3 |" in card and "| step | 3 |" in card


@pytest.mark.parametrize("lora", [None, LORA])
def test_on_a_remote_root_a_run_that_goes_on_has_the_snapshots_of_an_undisturbed_one(
    tmp_path, texts, tiny_model, word_tokenizer, lora
):
    root = Root(f"memory://{tmp_path.name}-snapshots")
    root.model("model", tiny_model("gpt2"), word_tokenizer(eos_token="<end>"), "pretrained")
    root.parquet("pairs", "pairs", texts)
    inputs = {"model": "model", "pairs": "pairs"}
    asked = {"checkpoint_every": 2, "snapshots": {"steps": [1, 3, 5], "kl": [9.0]}, "lora": lora}
    whole = trained(root, "whole", **asked)
    params = {**PARAMS, **asked}
    answer, _ = root.run("align", params, name="cut off", stop=stop_at(4), **inputs)
    assert answer["state"] == "stopped"
    again = root.done("align", params, name="cut off", attempt="2", **inputs)
    assert again.facts["training"]["resume"]["resumed_from"] == 4
    names = whole.names("snapshots/")
    assert len([n for n in names if n.endswith("SNAPSHOT.json")]) == 3
    assert {n: whole.read(n) for n in names} == {n: again.read(n) for n in again.names("snapshots")}
    one, two = opened(root, "whole", "step-3"), opened(root, "cut off", "step-3")
    assert_equal(weights(one), weights(two))


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_damaged_part_of_a_snapshot_is_named_by_who_reads_it(root, lora):
    aligned = trained(root, "kept", snapshots={"steps": [3]}, lora=lora)
    opened(root, "kept", "step-3")
    (name,) = (n for n in aligned.names("snapshots/3/") if n.endswith(".safetensors"))
    path = aligned.path(name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    answer, _ = root.run(
        "weights", {"metrics": ["weight_drift"]}, base="model", aligned="kept step-3"
    )
    assert answer["state"] == "failed"
    assert f"{name} is damaged" in answer["error"]["message"]
    assert "deltascale verify" in answer["error"]["message"]
