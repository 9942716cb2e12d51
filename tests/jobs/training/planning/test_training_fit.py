"""What `fit` chooses for a training job, from configs alone."""

import json
import subprocess
import sys
from dataclasses import replace

from cluster.machine.resources import Resources
from jobs.kind import Situation, Upstream
from jobs.kinds.align import Align
from jobs.training.planning.expectation import Expected
from tests.jobs.training.planning.published_configs import MISTRAL_7B

align = Align()

GPT2_MEDIUM = {
    "family": "gpt2",
    "num_layers": 24,
    "d_model": 1024,
    "num_heads": 16,
    "vocab_size": 50257,
}
H100 = Resources(num_cpus=64, num_gpus=8, memory_gb=1000, gpu_memory_gb=80)


def of_model(config, facts=None):
    params = {"source": "hf://some/model", "revision": None, "config": config}
    model = Upstream(kind="pretrained", params=params, facts=facts, files={}, inputs={})
    return {"model": model}


def fitted(config, machines, tried=(), done=(), **params):
    given = {"max_length": 1024, "dtype": "bfloat16", "steps": 100, "global_batch": 8, **params}
    at = Situation(inputs=of_model(config), machines=machines, tried=tried, done=done)
    return align.fit(align.Params(**given), at)


def test_a_small_model_takes_one_gpu_and_the_largest_pass():
    found = fitted(GPT2_MEDIUM, [H100])
    assert found.refusal is None
    assert found.execution == {
        "engine": "ddp",
        "num_ranks": 1,
        "num_nodes": 1,
        "num_gpus": 1,
        "micro_batch": 8,
        "activation_checkpointing": False,
        "offload": False,
    }
    assert 10 < found.peak_memory_gb < 80
    assert found.resources.gpu_memory_gb > found.peak_memory_gb
    assert 0 < found.hours < 1


def test_a_large_model_is_divided_among_gpus_that_cannot_hold_it_alone():
    found = fitted(MISTRAL_7B, [H100])
    assert found.refusal is None
    assert found.execution["engine"].startswith("zero") and found.execution["num_gpus"] > 1
    assert found.resources.total.num_gpus == found.execution["num_gpus"]
    alone = fitted(MISTRAL_7B, [replace(H100, gpu_memory_gb=141)]).execution
    assert (alone["engine"], alone["num_gpus"]) == ("ddp", 1)


def test_host_memory_is_taken_only_where_the_gpus_at_hand_cannot_hold_it():
    assert not fitted(MISTRAL_7B, [H100]).execution["offload"]
    assert fitted(MISTRAL_7B, [replace(H100, num_gpus=1)]).execution["offload"]
    refused = fitted(MISTRAL_7B, [replace(H100, num_gpus=1)], offload=False).refusal
    assert refused and "on one node" in refused


def test_what_is_given_is_kept():
    given = {"engine": "zero3", "num_gpus": 4, "micro_batch": 1, "activation_checkpointing": False}
    found = fitted(GPT2_MEDIUM, [H100], **given)
    assert given.items() <= found.execution.items()


def test_a_gang_is_spread_evenly_over_as_few_nodes_as_hold_it():
    pair = replace(H100, num_gpus=2)
    found = fitted(GPT2_MEDIUM, [pair, pair, pair, pair], num_gpus=8)
    assert (found.execution["num_nodes"], found.resources.on_each_node.num_gpus) == (4, 2)


def test_cores_and_memory_of_nodes_count_as_their_gpus_do_when_ranks_are_spread():
    small = Resources(num_cpus=1, memory_gb=64)
    ranks = {"num_ranks": 2, "engine": "zero2"}
    assert fitted(GPT2_MEDIUM, [small, small], **ranks).execution["num_nodes"] == 2
    wide = [replace(small, num_cpus=2)] * 2
    assert fitted(GPT2_MEDIUM, wide, **ranks).execution["num_nodes"] == 1
    assert fitted(GPT2_MEDIUM, wide, **ranks, memory_gb=40).execution["num_nodes"] == 2
    few_cores = [replace(H100, num_cpus=4)] * 2
    assert fitted(GPT2_MEDIUM, few_cores, num_gpus=8).execution["num_nodes"] == 2


def test_a_refusal_names_what_one_node_needs_and_what_the_largest_has():
    found = fitted(MISTRAL_7B, [replace(H100, num_gpus=4)], num_gpus=8, num_nodes=1)
    assert found.refusal == "needs 8 x 80 GB on one node; the largest node has 4"
    assert found.execution == {}
    no_gpu = Resources(num_cpus=8, memory_gb=32)
    assert "the largest node has 0" in fitted(GPT2_MEDIUM, [no_gpu], num_gpus=1).refusal
    two = fitted(GPT2_MEDIUM, [no_gpu], num_ranks=2, num_nodes=2)
    assert two.refusal == "needs 2 nodes; there is 1"
    spread = fitted(GPT2_MEDIUM, [H100, H100, no_gpu], num_gpus=8, num_nodes=4)
    assert spread.refusal == "needs 4 nodes; there are 2 with the GPUs that each needs"
    small = replace(H100, num_gpus=1, gpu_memory_gb=40)
    refused = fitted(MISTRAL_7B, [small], offload=False).refusal
    assert " x 40 GB on one node; the largest node has 1" in refused
    alone = fitted(MISTRAL_7B, [replace(H100, gpu_memory_gb=16)], num_gpus=1, offload=False).refusal
    assert "the largest GPU has 16 GB" in alone and "even as ddp on 1 GPU" in alone


def test_a_machine_without_gpus_computes_on_its_processor_within_its_memory():
    roomy = fitted(GPT2_MEDIUM, [Resources(num_cpus=8, memory_gb=64)], dtype="float32")
    assert (roomy.execution["num_gpus"], roomy.execution["micro_batch"]) == (0, 8)
    tight = fitted(GPT2_MEDIUM, [Resources(num_cpus=8, memory_gb=16)], dtype="float32")
    assert tight.execution["micro_batch"] < 8
    assert tight.resources.memory_gb <= 16
    assert fitted(MISTRAL_7B, [Resources(num_cpus=8, memory_gb=16)]).refusal.startswith(
        "needs 1 x "
    )


def test_running_out_of_memory_climbs_the_ladder_and_never_repeats_a_rung():
    tried, seen = [], []
    while (found := fitted(GPT2_MEDIUM, [replace(H100, num_gpus=2)], tried=tried)).refusal is None:
        seen.append(found.execution)
        tried = [*tried, found.execution]
    assert len({str(each) for each in seen}) == len(seen) > 3
    halves = [each["micro_batch"] for each in seen if each["engine"] == "ddp"]
    assert halves[:2] == [8, 4]
    again = [each["activation_checkpointing"] for each in seen]
    assert again.index(True) > 0
    gpus = [each["num_gpus"] for each in seen]
    assert gpus == sorted(gpus) and gpus[-1] == 2
    batches = {each["micro_batch"] * each["num_ranks"] for each in seen}
    assert all(8 % batch == 0 for batch in batches)


def test_an_objective_that_sorts_the_batch_stays_whole_on_one_rank():
    found = fitted(GPT2_MEDIUM, [H100], objective="aot")
    assert (found.execution["num_ranks"], found.execution["micro_batch"]) == (1, 8)


def test_an_unknown_model_is_fitted_without_a_prediction():
    found = fitted(None, [H100])
    assert found.peak_memory_gb is None and found.execution["num_gpus"] == 1
    inputs = of_model(None, facts={"model": {"config": GPT2_MEDIUM}})
    known = align.fit(align.Params(max_length=64), Situation(inputs=inputs, machines=[H100]))
    assert known.peak_memory_gb > 1


def measured(fit, factor):
    """Facts of a done job whose pass took so much more than the closed form says."""
    from jobs.models.sizes import ModelSizes
    from jobs.training.layout import Layout
    from jobs.training.planning.footprint import footprint
    from jobs.training.planning.training_fit import training_with

    model = ModelSizes.of({**GPT2_MEDIUM, "num_layers": fit})
    params = align.Params(global_batch=8, dtype="bfloat16", max_length=1024)
    layout = Layout(micro_batch=1, num_gpus=1)
    found = footprint(training_with(params, model, 1024), layout)
    return {
        "memory": {
            "layout": layout.execution,
            "dtype": "bfloat16",
            "attention": "sdpa",
            "states_gb": found.states / 1e9,
            "working_gb": found.working / 1e9,
            "step_gb": found.step / 1e9,
            "measured_gb": 0.5 + (found.states + factor * found.working) / 1e9,
            "flops_per_second": 1e14,
        }
    }


def test_done_jobs_of_smaller_models_correct_the_prediction():
    plain = fitted(GPT2_MEDIUM, [H100], micro_batch=4).peak_memory_gb
    done = [measured(2, 1.2), measured(4, 1.2)]
    corrected = fitted(GPT2_MEDIUM, [H100], done=done, micro_batch=4)
    assert plain * 1.05 < corrected.peak_memory_gb < 0.5 + plain * 1.2
    alone = fitted(GPT2_MEDIUM, [H100], done=done[:1], micro_batch=4).peak_memory_gb
    assert plain < alone
    other = fitted(GPT2_MEDIUM, [H100], done=done, micro_batch=4, attention="eager")
    assert (
        other.peak_memory_gb
        == fitted(GPT2_MEDIUM, [H100], micro_batch=4, attention="eager").peak_memory_gb
    )


def test_a_quantised_base_without_a_gpu_is_refused_for_that():
    lora = {"rank": 8, "quantised": "nf4"}
    on_processor = [Resources(num_cpus=8, memory_gb=64)]
    for config in (GPT2_MEDIUM, None):
        found = fitted(config, on_processor, lora=lora)
        assert found.refusal == "a quantised base needs a GPU, not num_gpus 0"
        assert fitted(config, [H100], lora=lora).refusal is None


def test_host_memory_holds_the_base_that_an_adapter_is_merged_with():
    found = fitted(MISTRAL_7B, [H100], lora={"rank": 8}, micro_batch=1)
    assert found.resources.memory_gb > 4 * 7.2
    quantised = fitted(MISTRAL_7B, [H100], lora={"rank": 8, "quantised": "nf4"}, micro_batch=1)
    assert quantised.peak_memory_gb < found.peak_memory_gb
    assert quantised.resources.memory_gb > 4 * 7.2


def test_host_memory_of_one_node_holds_a_divided_model_that_is_put_together():
    given = {"engine": "fsdp2", "num_gpus": 4, "offload": False, "lora": {"rank": 1}}
    found = fitted(MISTRAL_7B, [H100], **given)
    assert 4 * 7.2 < 4 * (found.resources.memory_gb + 0.1) < 4 * 7.2 + 2
    apart = fitted(MISTRAL_7B, [replace(H100, num_gpus=2)] * 2, **given)
    assert apart.resources.memory_gb > 2 * 7.2


def test_host_memory_holds_what_checkpoints_copy_and_the_best_weights_whatever_the_engine():
    for engine, most in (("ddp", 8), ("zero2", 12)):
        given = {"engine": engine, "num_gpus": 2, "offload": False}
        found = fitted(GPT2_MEDIUM, [H100], **given).resources.memory_gb
        assert 2 * found > 0.354 * most - 0.1, engine
        stops = fitted(GPT2_MEDIUM, [H100], **given, early_stopping={"every": 1, "patience": 1})
        assert 2 * (stops.resources.memory_gb - found) > 0.354 * 8 - 0.2


def test_an_optimizer_in_host_memory_takes_longer_than_one_on_the_gpu():
    offloaded = fitted(MISTRAL_7B, [replace(H100, num_gpus=1)])
    held = fitted(MISTRAL_7B, [replace(H100, num_gpus=1, gpu_memory_gb=141)])
    assert offloaded.execution["offload"] and not held.execution["offload"]
    assert offloaded.hours > 1.5 * held.hours


def test_the_same_memory_in_another_product_takes_other_hours():
    h100, a100 = (
        fitted(MISTRAL_7B, [replace(H100, gpu_name=name)], steps=1000, checkpoint_every=None)
        for name in ("H100", "A100-80GB")
    )
    assert h100.execution == a100.execution
    assert 1.5 * h100.hours < a100.hours


def test_checkpoints_that_keep_the_steps_waiting_for_a_disk_are_named():
    often = fitted(MISTRAL_7B, [H100], steps=1000, checkpoint_every=10)
    seldom = fitted(MISTRAL_7B, [H100], steps=1000, checkpoint_every=1000)
    assert "checkpoints of 58 GB every 10 steps" in often.why
    assert "checkpoints" not in seldom.why and often.hours == seldom.hours


def test_rows_of_the_data_that_are_here_decide_the_hours(tmp_path):
    """max_length is a bound; rows may be much shorter."""
    source = tmp_path / "pairs.jsonl"
    row = '{"prompt": "You are", "chosen": " kind to all of us", "rejected": " unkind"}'
    rows = [row.replace("all", f"all {number}") for number in range(20)]
    source.write_text("\n".join(rows), encoding="utf-8")
    params = {"format": "prompt-chosen-rejected", "source": str(source)}
    pairs = Upstream(kind="pairs", params=params, facts=None, files={}, inputs={})
    at = Situation(
        inputs={**of_model(GPT2_MEDIUM), "pairs": pairs},
        machines=[replace(H100, gpu_name="H100")],
    )
    known = align.fit(align.Params(max_length=1024, epochs=300, global_batch=4), at)
    assert "in the mean" in known.why
    alone = replace(at, inputs=of_model(GPT2_MEDIUM))
    bound = align.fit(align.Params(max_length=1024, steps=1500, global_batch=4), alone)
    assert "(at most)" in bound.why and known.hours < bound.hours / 3


def test_memory_is_for_the_longest_sequence_that_there_may_be(tmp_path):
    """A sample's longest is no bound: only max_length is, and the bytes of the longest text."""

    def planned(words, **params):
        source = tmp_path / f"{words}.jsonl"
        row = {"prompt": "You are", "chosen": " so" * words, "rejected": " unkind"}
        source.write_text(json.dumps(row) + "\n", encoding="utf-8")
        given = {"format": "prompt-chosen-rejected", "source": str(source)}
        pairs = Upstream(kind="pairs", params=given, facts=None, files={}, inputs={})
        at = Situation(inputs={**of_model(MISTRAL_7B), "pairs": pairs}, machines=[H100])
        return align.fit(align.Params(epochs=1, global_batch=4, **params), at).why

    assert "at 256 tokens, 104 in the mean" in planned(200, max_length=256)
    assert "at 51 tokens" in planned(12, max_length=256)
    assert "at 2003 tokens" in planned(2000) and "at 1024 tokens" in planned(400)


def test_fitting_imports_no_torch():
    code = (
        "import sys; from jobs.kinds.align import Align;"
        "from cluster.machine.resources import Resources;"
        "from jobs.kind import Situation, Upstream;"
        f"model = Upstream(kind='pretrained', params={{'config': {MISTRAL_7B!r}}}, facts=None,"
        "files={}, inputs={});"
        "at = Situation(inputs={'model': model},"
        "machines=[Resources(num_gpus=8, gpu_memory_gb=80)]);"
        "align = Align(); found = align.fit(align.Params(max_length=64), at);"
        "assert found.peak_memory_gb; print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_what_ran_out_of_memory_on_a_processor_says_nothing_of_gpus():
    tried = [{"engine": "ddp", "num_gpus": 0, "micro_batch": 4}]
    found = fitted(GPT2_MEDIUM, [H100], tried=tried)
    assert found.execution["num_gpus"] == 1 and found.refusal is None


def test_a_batch_or_a_cluster_of_any_size_is_planned_by_looking_at_few_layouts(monkeypatch):
    looked = []
    holds = Expected.holds
    monkeypatch.setattr(
        Expected, "holds", lambda self, *about: looked.append(about) or holds(self, *about)
    )
    nodes = [replace(H100, num_gpus=1, gpu_memory_gb=40)] * 10_000
    found = fitted(MISTRAL_7B, nodes, global_batch=10**9)
    assert found.execution["num_gpus"] > 1
    assert max(len(machines) for _, machines in looked) <= 1024
    assert len(looked) < 10_000


def test_nodes_that_no_row_is_left_for_change_nothing():
    few, many = fitted(MISTRAL_7B, [H100] * 8), fitted(MISTRAL_7B, [H100] * 2000)
    assert few == many
