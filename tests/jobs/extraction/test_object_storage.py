"""An extraction whose root lies on an object storage: killed, continued, shared, damaged."""

import json
import signal

import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from tests.forked import forked

PARAMS = {"layers": [1, 2], "noise_floor_prompts": 4}
NUM_UNITS = 20
LONGEST_S = 300

# Publishes every unit at once, and dies between two units when some are in the storage.
DYING_WORKER = """
import json, os, signal, sys, time
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.extraction import extract
extract._PUBLISH_EVERY_S = 0.0
payload, units = sys.argv[1:]
storage = Storage(json.loads(payload)["root"])
asked = []
def whole():
    return sum(name.endswith("UNIT.json") for name in storage.sizes(units))
def stop_requested():
    asked.append(1)
    if len(asked) == 8:
        until = time.monotonic() + 60
        while whole() < 4 and time.monotonic() < until:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return False
run.run(payload, Surroundings(stop_requested=stop_requested))
"""


def digests(artifact):
    return {name: entry.xxh3 for name, entry in artifact.record.files.items()}


@pytest.fixture
def remote(root, pair, bucket, word_tokenizer, plain_prompts):
    """The same inputs on an object storage; (root, inputs, digests of the local store)."""
    inputs, base, aligned = pair
    expected = digests(root.done("extract", PARAMS, **inputs))
    there = type(root)(f"{bucket}/folder/root")
    tokenizer = word_tokenizer(eos_token="<end>")
    copies = {
        "base": there.model("base", base, tokenizer),
        "aligned": there.model("aligned", aligned, tokenizer, "align"),
        "prompts": there.prompts("plain", plain_prompts),
    }
    assert {name: each.key for name, each in copies.items()} == {
        name: each.key for name, each in inputs.items()
    }
    return there, copies, expected


def killed(there, inputs, said):
    """A real process dies between two units; (artifact, units it left whole in the storage)."""
    payload, artifact = there.payload("extract", PARAMS, "killed", inputs)
    units = f"{artifact.attempt_folder('killed')}/units"
    died = forked(DYING_WORKER, [payload, units], said)
    died.join(LONGEST_S)
    assert died.exitcode == -signal.SIGKILL
    assert artifact.find_record() is None
    left = [name for name in there.storage.sizes(units) if name.endswith("UNIT.json")]
    assert 4 <= len(left) < 8
    return artifact, sorted(name.removesuffix("/UNIT.json") for name in left)


def test_a_killed_attempt_is_continued_without_its_units_coming_here(remote, proxy, tmp_path):
    """Lesson 45: egress is a cost line."""
    there, inputs, expected = remote
    artifact, left = killed(there, inputs, tmp_path / "said")
    shard = f"{artifact.attempt_folder('killed')}/units/{left[0]}/shard-000.safetensors"
    there.storage.write(shard, there.storage.read(shard)[:-1])
    proxy.seen.clear()

    computed = []
    again = there.done(
        "extract",
        PARAMS,
        attempt="second",
        stop=lambda: computed.append(1) is not None and False,
        **inputs,
    )
    assert len(computed) == NUM_UNITS - len(left) + 1  # the damaged one is done again
    assert digests(again) == expected
    fetched = [each for each in proxy.seen if each.startswith("GET") and "shard-" in each]
    assert not fetched


def test_two_workers_share_the_units_through_the_storage(remote):
    there, inputs, expected = remote

    def worker(number, stop):
        payload, artifact = there.payload(
            "extract", PARAMS, f"worker{number}", inputs, worker=number, num_workers=2
        )
        answer = json.loads(run.run(payload, Surroundings(stop_requested=stop)))
        return answer["state"], artifact

    calls = iter(range(1000))
    state, artifact = worker(1, lambda: next(calls) == 9)
    assert state == "stopped"
    own = Storage(f"{there.storage.url}/{artifact.attempt_folder('worker1')}")
    assert sum(name.endswith("UNIT.json") for name in own.sizes("units")) == 9

    computed = []
    state, artifact = worker(0, lambda: computed.append(1) is not None and False)
    assert (state, len(computed)) == ("done", NUM_UNITS - 9)
    assert digests(artifact) == expected
