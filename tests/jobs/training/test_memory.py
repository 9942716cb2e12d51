"""Memory of a training job: probed without a trace, measured, and what happens when it runs out."""

import gc

import pytest
import torch
from safetensors.torch import load_file

from cluster.errors import OutOfMemory
from jobs.training.memory_watch import MemoryWatch
from jobs.training.peak_memory import peak_bytes, reset_peak
from jobs.worker.out_of_memory import as_out_of_memory

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 3, "learning_rate": 1e-3, "seed": 5, "micro_batch": 2}


def aligned(root, name, **params):
    answer, _ = root.run("align", {**PARAMS, **params}, name=name, **INPUTS)
    assert answer["state"] == "done", answer
    return root.artifact(name)


def weights(artifact):
    return load_file(artifact.directory("model") / "model.safetensors")


def test_the_probe_leaves_no_trace_in_weights_and_log(scored, monkeypatch):
    with_probe = aligned(scored, "probed")
    assert with_probe.facts["memory"]["probed_gb"] > 0
    monkeypatch.setattr(MemoryWatch, "PROBED_ENGINE", "no engine")
    without = aligned(scored, "not probed")
    assert without.facts["memory"]["probed_gb"] is None
    assert scored.log_of("probed") == scored.log_of("not probed")
    one, other = weights(with_probe), weights(without)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_record_says_what_was_expected_and_what_was_measured(scored):
    facts = aligned(scored, "aligned").facts["memory"]
    assert facts["layout"]["micro_batch"] == 2 and facts["family"] == "gpt2"
    assert facts["sequence_length"] == 9
    moment = 4 * facts["num_parameters"] / 1e9  # RMSprop's, in fp32, comes after the probe
    assert facts["corrected_gb"] == pytest.approx(facts["probed_gb"] + moment, abs=2e-6)
    assert facts["flops_per_second"] > 0 and facts["not_probed"] is None


def test_what_else_the_process_holds_is_probed_and_measured(scored):
    aligned(scored, "first of this process")
    alone = aligned(scored, "alone").facts["memory"]
    block = torch.ones(100_000_000)  # 0.4 GB
    beside = aligned(scored, "beside a block").facts["memory"]
    assert block.sum() == 1e8
    for name in ("probed_gb", "measured_gb"):
        assert beside[name] - alone[name] == pytest.approx(0.4, abs=0.1), name


def test_the_peak_of_a_process_is_counted_anew():
    reset_peak(on_gpu=False)
    before = peak_bytes(on_gpu=False)
    block = torch.ones(80_000_000)
    assert peak_bytes(on_gpu=False) > before + 250_000_000
    del block
    reset_peak(on_gpu=False)
    assert peak_bytes(on_gpu=False) < before + 100_000_000


def test_a_process_that_goes_on_holds_nothing_of_a_model_it_has_trained(scored):
    from transformers import Trainer

    aligned(scored, "aligned")
    assert not [each for each in gc.get_objects() if isinstance(each, Trainer)]


def test_memory_that_runs_out_is_a_fault_of_its_own_and_names_the_layout():
    said = "training by ddp ran out of memory: .*allocate"
    with pytest.raises(OutOfMemory, match=said), as_out_of_memory("training by ddp"):
        torch.empty(2**50, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="another"), as_out_of_memory("training"):
        raise RuntimeError("another fault")
    with pytest.raises(OutOfMemory), as_out_of_memory("training"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
