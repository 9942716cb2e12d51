"""A job that really runs out of memory says so, and the next layout trains the same experiment."""

import json

import pytest

from cluster.machine.resources import Resources
from jobs.kind import Situation, Upstream
from jobs.kinds.align import Align

align = Align()

INPUTS = {"model": "long", "pairs": "lengthy", "reference": "scores"}
SIZES = {"num_layers": 8, "d_model": 128, "num_heads": 2, "vocab_size": 32, "max_positions": 512}
PARAMS = {
    "max_length": 512,
    "steps": 2,
    "learning_rate": 1e-3,
    "checkpoint_every": None,
    "validate_every": None,
}
ROOM = 750_000_000
"""Bytes that a job may take beyond its libraries. Tried: passes of four pairs fit in 900 MB and not
in 750, of two in 750 and not in 600, of one in 600."""
LIMITED = """
import re, resource, sys, threading
from cluster.executor import Surroundings
from jobs.run import run
import torch
payload, room, answer = sys.argv[1:]
with open("/proc/self/status") as stream:
    held = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", stream.read())[1])
threading.stack_size(1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (held + int(room), resource.RLIM_INFINITY))
said = run(payload, Surroundings(stop_requested=lambda: False))
with open(answer, "w") as stream:
    stream.write(said)
"""


@pytest.fixture
def lengthy(root, texts, tiny_model, word_tokenizer):
    """A root with pairs of up to 500 tokens and a model whose activations are what takes memory."""
    rows = [{**row, "prompt": " ".join([row["prompt"]] * 80)} for row in texts[::4]]
    root.parquet("lengthy", "pairs", rows)
    model, tokenizer = tiny_model("gpt2", **SIZES), word_tokenizer(eos_token="<end>")
    root.model("long", model, tokenizer, "pretrained")
    given = {"model": "long", "pairs": "lengthy"}
    root.done("reference", {"max_length": 512}, name="scores", **given)
    return root


def do_within(root, params, attempt, room):
    """What the worker answers in a process whose memory is limited."""
    answer = root.folder.parent / "answer.json"
    payload = root.payload("align", params, attempt, INPUTS, name="limited")[0]
    root.run_code(LIMITED, payload, str(room), str(answer))
    return json.loads(answer.read_text())


def next_rung(params, tried):
    """The layout that is chosen once these ran out of memory."""
    config = {"family": "gpt2", **SIZES}
    model = Upstream(kind="pretrained", params={"config": config}, facts=None, files={}, inputs={})
    machines = [Resources(num_cpus=2, memory_gb=16)]
    at = Situation(inputs={"model": model}, machines=machines, tried=tried)
    return align.fit(align.Params(**params), at)


@pytest.mark.slow
def test_the_next_layout_trains_what_the_first_could_not(lengthy):
    lengthy.done("align", PARAMS, name="unlimited", **INPUTS)
    tried = []
    for attempt in "123":
        chosen = next_rung(PARAMS, tried)
        assert chosen.refusal is None
        answer = do_within(lengthy, {**PARAMS, **chosen.execution}, attempt, ROOM)
        if answer["state"] == "done":
            break
        assert answer["error"]["code"] == "out_of_memory", answer
        assert lengthy.artifact("limited").find_record() is None
        tried.append(chosen.execution)
    assert [layout["micro_batch"] for layout in tried] == [4]
    assert lengthy.artifact("limited").facts["training"]["layout"]["micro_batch"] == 2
    rows, wanted = lengthy.log_of("limited"), lengthy.log_of("unlimited")
    assert [row["step"] for row in rows] == [row["step"] for row in wanted] == [1, 2]
    for row, want in zip(rows, wanted, strict=True):
        for metric in ("loss", "rewards/margins", "grad_norm"):
            assert row[metric] == pytest.approx(want[metric], rel=1e-4, abs=1e-6)
