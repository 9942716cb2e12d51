"""A whole extraction on pretended GPUs: the same bytes as on the processor, and few waits."""

import json

import pytest

from cluster.executor import Surroundings
from jobs import run
from jobs.extraction.pairing import free_memory
from jobs.store.activation_store import ActivationStore
from jobs.tokens.batches import cut_batches, cut_units
from tests.fake_gpu.fake_cuda import fake_gpus
from tests.jobs.assignments import with_params

pytestmark = pytest.mark.fake_gpu
SITES = ["resid_mid", "mlp_act"]
# Eager: a GPU has other kernels for sdpa than a processor.
PARAMS = {"layers": "all", "sites": SITES, "attention": "eager", "positions": ["last", "all"]}


def extracted(root, inputs, params, attempt, **execution):
    """Extract once; another run with the same params is another attempt at the same job."""
    payload, artifact = root.payload("extract", params, attempt, inputs)
    answer = json.loads(run.run(with_params(payload, **execution), Surroundings()))
    log = root.folder / artifact.folder / "attempts" / attempt / "log.txt"
    assert answer["state"] == "done", log.read_text() if log.is_file() else answer
    return artifact


def digests(root, artifact):
    """What is in the store; forget it, so that the same job runs again."""
    digests = {name: entry.xxh3 for name, entry in artifact.record.files.items()}
    artifact.retire(artifact.record_bytes())
    root.storage.remove(f"{artifact.folder}/attempts")
    return digests


@pytest.fixture
def inputs_of(root, tiny_model, word_tokenizer, moved, few_prompts):
    """A function: family -> the inputs of an extraction of a tiny pair."""

    def publish(family):
        base = tiny_model(family)
        tokenizer = word_tokenizer(eos_token="<end>")
        return {
            "base": root.model("base", base, tokenizer),
            "aligned": root.model("aligned", moved(base), tokenizer, "align"),
            "prompts": root.prompts("few", few_prompts),
        }

    return publish


def test_gpus_give_the_bytes_of_the_processor(root, inputs_of):
    inputs = inputs_of("gpt2")
    on_processor = digests(root, extracted(root, inputs, PARAMS, "processor", token_budget=64))
    for number, pairing in ((1, "resident"), (2, "sequential")):
        with fake_gpus(number):
            how = {"num_gpus": number, "token_budget": 64, "pairing": pairing}
            artifact = extracted(root, inputs, PARAMS, f"{number} GPUs", **how)
        assert artifact.facts["execution"]["device"] == "cuda"
        assert digests(root, artifact) == on_processor


def test_a_batch_waits_three_times_at_most_and_its_rows_leave_in_one_copy(root, inputs_of):
    """Counted by the difference of runs over many batches and few; nothing else differs."""
    inputs, runs = inputs_of("llama"), []
    for token_budget in (64, 16):
        with fake_gpus(1) as counts:
            name = f"{token_budget} tokens"
            artifact = extracted(root, inputs, PARAMS, name, num_gpus=1, token_budget=token_budget)
        plan = ActivationStore(artifact).token_plan
        units = cut_units(plan, 65536)
        num_batches = sum(len([*cut_batches(plan, u.members, token_budget)]) for u in units)
        runs.append((num_batches, counts))
        digests(root, artifact)
    (few, before), (many, after) = runs
    assert many >= few + 5

    def per_batch(of):
        return (of(after) - of(before)) / (many - few)

    # Each forward pass asks for packed texts, which is the library's.
    assert per_batch(lambda counts: len(counts.waits())) <= 2
    assert per_batch(lambda counts: len(counts.waits("unit-writer"))) <= 1
    assert per_batch(lambda counts: len(counts.copied("to host"))) == 0
    # Token ids, the rows wanted, and the indices and weights of two positions.
    assert per_batch(lambda counts: len(counts.copied("to device"))) <= 8
    assert not [event for event in after.copied("to device") if event.waits and not is_load(event)]


def is_load(event):
    """Whether the copy is one of a model's weights, which are loaded once."""
    return "loading.py" in event.where


@pytest.mark.parametrize(("num_gpus", "asked", "gb"), [(0.5, [0], 5), (1, [0], 8), (2, [0, 1], 16)])
def test_memory_is_asked_of_the_gpus_of_the_job_alone(num_gpus, asked, gb):
    """Each question opens a context; the models of a job with one GPU of eight go to the first."""
    with fake_gpus(8, free_bytes=8e9, total_bytes=10e9) as counts:
        assert free_memory(num_gpus, 0) == gb * 10**9
    assert counts.asked_memory == asked
