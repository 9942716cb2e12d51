"""A whole extraction on pretended GPUs: the same bytes as on the processor, and few waits."""

import json
import random

import pytest

from cluster.executor import Surroundings
from jobs import run
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


@pytest.fixture(scope="module")
def few_prompts():
    """Twelve prompts with responses, of many lengths, in two groups."""
    draw = random.Random(5)

    def text(count):
        return "".join(f" word{draw.randrange(20)}" for _ in range(count))

    return [
        {
            "prompt": number,
            "group": number % 2,
            "segments": [
                {"role": "prompt", "text": text(draw.randint(2, 9))},
                {"role": "response", "text": text(draw.randint(1, 6))},
            ],
        }
        for number in range(12)
    ]


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


def test_a_gpu_gives_the_bytes_of_the_processor(root, inputs_of):
    inputs = inputs_of("gpt2")
    on_processor = digests(root, extracted(root, inputs, PARAMS, "processor", token_budget=64))
    with fake_gpus(1):
        artifact = extracted(root, inputs, PARAMS, "gpu", num_gpus=1, token_budget=64)
    assert artifact.facts["execution"]["device"] == "cuda"
    assert digests(root, artifact) == on_processor


@pytest.mark.parametrize(("num_gpus", "asked"), [(0.5, [0]), (1, [0]), (2, [0, 1])])
def test_memory_is_asked_of_the_gpus_of_the_job_alone(num_gpus, asked):
    """Each question opens a context; the models of a job with one GPU of eight go to the first."""
    from jobs.extraction.pairing import free_memory

    with fake_gpus(8, free_bytes=10**10) as counts:
        assert free_memory(num_gpus, 0) == len(asked) * 10**10
    assert counts.asked_memory == asked
