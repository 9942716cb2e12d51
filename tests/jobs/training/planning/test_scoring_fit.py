"""Where a reference is computed, from configs alone."""

from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.kind import Situation, Upstream
from jobs.kinds.reference import Reference
from tests.jobs.training.planning.published_configs import LLAMA_8B

reference = Reference()

GPU = Resources(num_cpus=8, num_gpus=4, memory_gb=500, gpu_memory_gb=80)


def fitted(machines, tried=(), config=LLAMA_8B, **params):
    given = {"source": "hf://some/model", "revision": None, "config": config}
    model = Upstream(kind="pretrained", params=given, facts=None, files={}, inputs={})
    asked = reference.Params(**{"max_length": 256, **params})
    at = Situation(inputs={"model": model}, machines=machines, tried=tried)
    return reference.fit(asked, at)


def test_one_gpu_is_taken_where_it_holds_the_model_and_the_largest_batch():
    found = fitted([GPU])
    assert found.execution == {"num_gpus": 1, "micro_batch": 16}
    assert 4 * 8.03 < found.peak_memory_gb < 50
    assert found.resources.gpu_memory_gb > found.peak_memory_gb


def test_rows_are_fewer_before_gpus_are_more():
    tight = fitted([replace(GPU, gpu_memory_gb=38)])
    assert tight.execution["num_gpus"] == 1 and tight.execution["micro_batch"] < 16
    spread = fitted([replace(GPU, gpu_memory_gb=24)])
    assert spread.execution["num_gpus"] == 2
    assert spread.resources.num_gpus == 2


def test_what_is_given_is_kept():
    found = fitted([GPU], num_gpus=2, micro_batch=3)
    assert found.execution == {"num_gpus": 2, "micro_batch": 3}


@pytest.mark.parametrize("config", [LLAMA_8B, None])
def test_without_gpus_it_is_computed_on_the_processor(config):
    found = fitted([Resources(num_cpus=8, memory_gb=64)], config=config)
    assert found.execution == {"num_gpus": 0, "micro_batch": 16}


def test_after_memory_ran_out_more_gpus_are_tried_until_there_are_none():
    tried = [fitted([GPU]).execution]
    while (found := fitted([GPU], tried)).refusal is None:
        tried.append(found.execution)
    assert [each["num_gpus"] for each in tried] == [1, 2, 3, 4]
    assert "ran out of memory" in found.refusal


def test_a_model_that_nothing_holds_is_refused_with_what_it_needs():
    found = fitted([Resources(num_cpus=8, memory_gb=16)])
    assert found.refusal.startswith("needs 1 x 3")
    assert found.refusal.endswith("on one node; the largest node has 16 GB")
    many = fitted([GPU], num_gpus=8)
    assert many.refusal == "needs 8 x 80 GB on one node; the largest node has 4"
    small = fitted([replace(GPU, gpu_memory_gb=8)]).refusal
    assert "even as one model on 4 GPUs, 1 row at a time; the largest GPU has 8 GB" in small


def test_part_of_a_gpu_stays_a_part():
    assert fitted([GPU], num_gpus=0.5).execution["num_gpus"] == 0.5
