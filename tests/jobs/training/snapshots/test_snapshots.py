"""Models on the way of a training run: which are kept, their bytes, and what a kill leaves."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.models.loading import load_model, load_tokenizer
from jobs.models.opened_model import adapter_on, model_folder
from jobs.training.completion_log_probabilities import score_pairs
from tests.jobs.training.read_pairs import read_pairs

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 12, "learning_rate": 1e-3, "warmup_steps": 2}
KILLED = {**PARAMS, "checkpoint_every": 3, "keep_checkpoints": 2}
LORA = {"rank": 2, "alpha": 4.0}


def done(root, name, attempt="1", **params):
    root.done("align", {**PARAMS, **params}, name=name, attempt=attempt, **INPUTS)
    return root.artifact(name)


def opened(root, aligned, label):
    name = f"{aligned} {label}"
    root.done("snapshot", {"snapshot": label}, name=name, aligned=aligned)
    return root.artifact(name)


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def kept_files(artifact):
    return {name: artifact.read(name) for name in artifact.names("snapshots/")}


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_snapshot_is_the_model_that_a_run_of_so_many_steps_leaves(scored, lora):
    how = {"lora": lora, "warmup_steps": 0}
    artifact = done(scored, "kept", snapshots={"steps": [4, 12]}, **how)
    plain = done(scored, "plain", **how)
    short = done(scored, "short", **{**how, "steps": 4})
    assert_equal(weights(model_folder(artifact)), weights(model_folder(plain)))
    assert scored.log_of("kept") == scored.log_of("plain")

    at_4, at_12, end = (opened(scored, "kept", label) for label in ("step-4", "step-12", "end"))
    assert_equal(weights(model_folder(at_4)), weights(model_folder(short)))
    assert_equal(weights(model_folder(at_12)), weights(model_folder(plain)))
    assert model_folder(end) == artifact.directory("model")
    assert [one.facts["step"] for one in (at_4, at_12, end)] == [4, 12, 12]
    assert not [name for one in (at_4, end) for name in one.names() if "safetensors" in name]
    base = scored.artifact("model")
    assert (adapter_on(base, at_4) is None) == (adapter_on(base, end) is None) == (lora is None)
    assert load_model(model_folder(at_4)).config.model_type == "gpt2"
    assert at_4.facts["held"]["form"] == ("difference" if lora is None else "adapter")


def test_a_model_opened_twice_by_a_job_is_put_together_once_and_goes_with_it(scored):
    done(scored, "kept", snapshots={"steps": [4]})
    artifact = opened(scored, "kept", "step-4")
    folder = model_folder(artifact)
    assert model_folder(artifact) == folder and folder.exists()
    del artifact
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LORA])
def test_after_a_kill_snapshots_have_the_bytes_of_an_undisturbed_run(scored, lora):
    root = scored
    params = {
        **KILLED,
        "lora": lora,
        "learning_rate": 1e-2 if lora else 1e-3,
        "snapshots": {"steps": [2, 4, 11], "margin": [0.01], "kl": [1e-5, 9.0], "every": 2},
    }
    whole = done(root, "whole", **params)
    root.run_and_kill("align", params, name="killed", attempt="1", at_step=8, **INPUTS)
    killed = done(root, "killed", attempt="2", **params)
    assert killed.facts["training"]["resume"]["resumed_from"] in (3, 6)
    assert killed.facts["training"]["resume"]["exact"]
    assert kept_files(killed) == kept_files(whole)
    assert killed.facts["snapshots"] | {"base": 0} == whole.facts["snapshots"] | {"base": 0}
    steps = whole.facts["snapshots"]["steps"]
    assert {"step-2", "step-4", "step-11"} <= set(steps)
    assert "kl-9" in whole.facts["snapshots"]["missed"]
    # taken before the checkpoint and not again: the file is the killed attempt's
    folder = root.storage.path(killed.attempt_folder("1")) / "snapshots/2"
    assert (folder / "SNAPSHOT.json").exists()
    name = "adapter/adapter_model.safetensors" if lora else "difference.safetensors"
    assert (folder / name).samefile(killed.path(f"snapshots/2/{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["bit flip", "no marker", "torn marker", "file gone"])
def test_a_checkpoint_whose_snapshot_is_not_whole_is_passed_over(scored, damage):
    params = {**KILLED, "keep_checkpoints": 4, "snapshots": {"steps": [2, 5]}}
    root = scored
    whole = done(root, "whole", **params)
    root.run_and_kill("align", params, name="killed", attempt="1", at_step=8, **INPUTS)
    folder = root.storage.path(root.artifact("killed").attempt_folder("1")) / "snapshots/5"
    file, marker = folder / "difference.safetensors", folder / "SNAPSHOT.json"
    if damage == "bit flip":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "torn marker":
        marker.write_text(marker.read_text()[:50])
    else:
        (marker if damage == "no marker" else file).unlink()
    killed = done(root, "killed", attempt="2", **params)
    # the checkpoint of step 6 has that snapshot before it, the one of step 3 does not
    assert killed.facts["training"]["resume"]["resumed_from"] == 3
    assert kept_files(killed) == kept_files(whole)


@pytest.mark.parametrize("objective", ["dpo", "sft"])
def test_thresholds_are_met_at_the_first_look_that_reaches_them(scored, objective):
    root, pairs_asked = scored, 6
    every = {"every": 2, "pairs": pairs_asked}
    steps = {"steps": list(range(2, 13, 2))}
    how = {"objective": objective, "learning_rate": 3e-3, "beta": 0.1}
    how = how if objective == "dpo" else {"objective": objective, "learning_rate": 3e-3}
    done(root, "all", snapshots=steps, **how)
    base = root.artifact("model")
    tokenizer = load_tokenizer(base.directory("model"))
    pairs = read_pairs(root.artifact("pairs").path("pairs.parquet"), tokenizer, 32)
    pairs = [pair for pair in pairs if pair.split == "validation"][:pairs_asked]
    start = load_model(base.directory("model"))
    kept = [opened(root, "all", f"step-{step}") for step in steps["steps"]]
    moved = [distances(start, load_model(model_folder(one)), pairs) for one in kept]
    margins, divergences = np.array(moved).T
    margin = float((margins[1] + margins[2]) / 2)
    kl = float((divergences[2] + divergences[3]) / 2)
    thresholds = {"margin": [margin, 1e6], "kl": [kl, 1e6]}
    facts = done(root, "some", snapshots={**thresholds, **every}, **how).facts["snapshots"]
    first = {label.partition("-")[0]: step for label, step in facts["steps"].items()}
    assert first["margin"] == 2 * (1 + int(np.argmax(margins >= margin)))
    assert first["kl"] == 2 * (1 + int(np.argmax(divergences >= kl)))
    assert sorted(label.partition("-")[0] for label in facts["missed"]) == ["kl", "margin"]
    most = float(facts["missed"]["kl-1e+06"].split("the most was ")[1].split()[0])
    assert most == pytest.approx(max(divergences), rel=1e-3)


def distances(start, model, pairs):
    """Margin, and divergence per token along chosen answers, one sequence at a time in fp64."""
    how = {"batch_size": 1, "dtype": "float32"}
    before, after = score_pairs(start, pairs, **how), score_pairs(model, pairs, **how)
    margin = (after.chosen - before.chosen - after.rejected + before.rejected).mean()
    sums, num_tokens = 0.0, 0
    for pair in pairs:
        ids = torch.tensor([[*pair.prompt_ids, *pair.chosen_ids]])
        places = slice(len(pair.prompt_ids) - 1, -1)
        with torch.no_grad():
            policy, base = (
                one(ids).logits[0, places].double().log_softmax(-1) for one in (model, start)
            )
        sums += float((policy.exp() * (policy - base)).sum())
        num_tokens += len(pair.chosen_ids)
    return margin, sums / num_tokens


def test_a_threshold_that_was_never_reached_leaves_no_model_and_what_reads_it_says_why(scored):
    done(scored, "kept", snapshots={"kl": [50.0]})
    absent = opened(scored, "kept", "kl-50")
    reason = absent.facts["absent"]
    assert "kl-50" in reason and "never reached it: the most was" in reason
    scored.done(
        "weights", {"metrics": ["weight_drift"]}, name="drift", base="model", aligned="kept kl-50"
    )
    assert scored.artifact("drift").facts == {"absent": reason}
    assert not scored.artifact("drift").names()


def test_an_objective_that_trains_nothing_keeps_its_base_at_every_step(scored):
    snapshots = {"steps": [4, 9], "margin": [0.5]}
    done(scored, "kept", objective="unaligned", snapshots=snapshots)
    base = scored.artifact("model")
    for label in ("step-4", "step-9"):
        artifact = opened(scored, "kept", label)
        assert_equal(weights(model_folder(artifact)), weights(base.directory("model")))
        assert artifact.facts["step"] == 0
    assert "absent" in opened(scored, "kept", "margin-0.5").facts


def test_thresholds_without_validation_pairs_are_refused(scored, texts):
    trained = [{**row, "split": "train"} for row in texts]
    scored.parquet("pairs", "pairs", trained)
    params = {**PARAMS, "objective": "sft", "snapshots": {"margin": [0.5]}}
    answer, _ = scored.run("align", params, name="refused", model="model", pairs="pairs")
    assert answer["error"]["code"] == "user_mistake"
    assert "need validation pairs" in answer["error"]["message"]


def test_a_snapshot_whose_base_was_made_anew_is_not_opened(scored):
    done(scored, "kept", snapshots={"steps": [4]})
    artifact = opened(scored, "kept", "step-4")
    record = scored.storage.path(scored.artifact("model").record_name)
    content = json.loads(record.read_text())
    content["files"]["model/config.json"]["xxh3"] = "0" * 16
    record.write_text(json.dumps(content))
    with pytest.raises(Exception, match="is not what it was when"):
        model_folder(artifact)
