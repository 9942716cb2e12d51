"""What kinds forecast of their jobs on GPUs, from configs and data that are here."""

from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import KINDS, Situation, Upstream
from orchestrator.plan.fitting import choose_fit, why_unfit
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records.job_history import JobHistory
from tests.jobs.training.planning.published_configs import LLAMA_8B, MISTRAL_7B

H100 = Resources(num_cpus=64, num_gpus=8, memory_gb=1000, gpu_memory_gb=80, gpu_name="H100")
GPT2 = {"family": "gpt2", "num_layers": 12, "d_model": 768, "num_heads": 12, "vocab_size": 50257}
GQA = {**GPT2, "family": "llama", "num_key_value_heads": 4, "d_mlp": 2048}

GPU_KINDS = {
    "extract": {},
    "behave": {"metrics": ["toxic_mass", "toxic_rate", "perplexity"]},
    "predictions": {},
    "preferences": {},
    "intervene": {"intervention": "subtract-direction", "metrics": ["perplexity"]},
    "generated-pairs": {},
    "probe-direction": {"max_texts": 100, "max_length": 256},
    "reference": {},
    "align": {"steps": 10},
    "pretrain": {"config": GPT2, "format": "nursery", "steps": 10},
}


def upstream(kind, params=None, facts=None, files=None, inputs=None):
    return Upstream(
        kind=kind, params=params or {}, facts=facts, files=files or {}, inputs=inputs or {}
    )


def inputs_for(config, rows=40):
    model = upstream("pretrained", {"source": "hf://some/model", "config": config})
    pairs = upstream("pairs", {"format": "text"}, facts={"num_pairs": rows})
    prompts = upstream(
        "prompts",
        {"format": "text", "max_prompts": 500},
        facts={"num_prompts": 500, "positions": ["last"]},
        files={"prompts.jsonl": 500 * 120},
    )
    delta = {"model": model, "pairs": pairs}
    aligned = upstream("align", {"lora": None}, inputs=delta)
    return {
        "model": model,
        "base": model,
        "aligned": aligned,
        "pairs": pairs,
        "prompts": prompts,
    }


def forecast(name, config, machines=(H100,), **params):
    kind = KINDS.find(name)
    given = kind.Params(**{**GPU_KINDS[name], "num_gpus": 1, **params})
    at = Situation(inputs=inputs_for(config), machines=machines)
    if kind.overrides(type(kind).__mro__[1].fit):
        return kind.fit(given, at)
    return kind.forecast(given, at)


def peak_of(expected):
    return getattr(expected, "peak_memory_gb", None) or expected.peak_gb


def test_every_kind_that_takes_a_gpu_says_memory_and_hours():
    """A kind that is added with GPUs among its params has to be in the list above."""
    without_model = {"ask", "probe"}  # the endpoint's time; no work at all
    takes = {
        name
        for name in KINDS.names()
        if "num_gpus" in KINDS.find(name).Params.model_fields and name not in without_model
    }
    assert takes == set(GPU_KINDS)


@pytest.mark.parametrize("name", sorted(GPU_KINDS))
def test_memory_and_hours_grow_with_the_model_and_shrink_with_the_gpu(name):
    small = forecast(name, GPT2)
    assert small.hours > 0 and peak_of(small) > 0.2
    a100 = replace(H100, gpu_name="A100-80GB")
    slower = forecast(name, GPT2, machines=[a100])
    faster = forecast(name, GPT2)
    assert slower.hours > faster.hours
    if name != "pretrain":
        large = forecast(name, MISTRAL_7B)
        assert large.hours > small.hours and peak_of(large) > peak_of(small)


def test_memory_is_said_by_part_and_two_models_that_do_not_fit_take_turns():
    both = forecast("extract", LLAMA_8B)
    assert both.memory_gb["weights"] == pytest.approx(2 * 16.06, rel=0.01)
    assert sum(both.memory_gb.values()) == pytest.approx(both.peak_gb)
    small = [replace(H100, gpu_memory_gb=24, gpu_name="L4")]
    turns = forecast("extract", LLAMA_8B, machines=small)
    assert turns.memory_gb["weights"] == pytest.approx(16.06, rel=0.01)
    assert turns.least_gb == pytest.approx(16.06, rel=0.01)


def test_what_a_server_continues_is_decoded_nowhere_here():
    own = forecast("behave", LLAMA_8B, metrics=["toxic_rate", "perplexity"])
    server = {"base_url": "http://localhost:8000/v1", "model": "llama", "probes": 8}
    served = forecast("behave", LLAMA_8B, metrics=["toxic_rate", "perplexity"], served=server)
    assert "keys and values" in own.memory_gb and "keys and values" not in served.memory_gb
    assert served.hours < own.hours and "a server, whose time is not counted" in served.why
    alone = forecast("behave", LLAMA_8B, metrics=["toxic_rate"], served=server)
    assert alone.least_gb > 16 and alone.memory_gb["a batch"] < served.memory_gb["a batch"] / 5
    unchecked = {**server, "probes": 0}
    nothing = forecast("behave", LLAMA_8B, metrics=["toxic_rate"], served=unchecked)
    assert nothing.least_gb == nothing.peak_gb == 0 and nothing.hours < alone.hours
    reads = forecast("behave", LLAMA_8B, metrics=["toxic_rate", "perplexity"], served=unchecked)
    assert reads.least_gb > 16 and reads.hours < served.hours


def test_moments_are_held_twice_while_those_of_a_unit_leave_for_the_host():
    kind = KINDS.find("extract")
    params = kind.Params(num_gpus=1, layers=[4, 8], sites=["resid_post"])
    inputs = inputs_for(GPT2)
    many = {"num_prompts": 100_000, "positions": ["last"]}
    inputs["prompts"] = upstream(
        "prompts", {"format": "text"}, facts=many, files={"prompts.jsonl": 100_000 * 120}
    )
    expected = kind.forecast(params, Situation(inputs=inputs, machines=[H100]))
    matrix = 8 * 768**2 / 1e9
    assert expected.memory_gb["moments"] == pytest.approx((2 * 2 + 3) * matrix)
    few = kind.forecast(params, Situation(inputs=inputs_for(GPT2), machines=[H100]))
    assert "moments" not in few.memory_gb


def test_attention_that_falls_to_the_math_kernel_is_counted_and_said():
    shared = forecast("extract", GQA, dtype="float32")
    assert "math kernel" in shared.why
    assert "math kernel" not in forecast("extract", GQA, dtype="bfloat16").why
    own = forecast("extract", {**GQA, "num_key_value_heads": 12}, dtype="float32")
    assert "math kernel" not in own.why
    assert shared.memory_gb["a batch"] > own.memory_gb["a batch"]


def test_what_is_not_known_is_a_bound_or_nothing_and_the_plan_says_which():
    kind = KINDS.find("behave")
    params = kind.Params(num_gpus=1, max_length=64)
    inputs = inputs_for(GPT2)
    bound = {**inputs, "prompts": upstream("prompts", {"format": "text", "max_prompts": 7})}
    expected = kind.forecast(params, Situation(inputs=bound, machines=[H100]))
    assert "at most 7 texts of 64 tokens" in expected.why and expected.hours
    nothing = {**inputs, "prompts": upstream("prompts", {"format": "text"})}
    expected = kind.forecast(params, Situation(inputs=nothing, machines=[H100]))
    assert expected.hours is None and expected.peak_gb > 0
    no_length = kind.Params(num_gpus=1, token_budget=512)
    for prompts in (bound, nothing):  # all positions of a model are no length of a text
        expected = kind.forecast(no_length, Situation(inputs=prompts, machines=[H100]))
        assert expected.hours is None and set(expected.memory_gb) == {"weights"}
        assert "is not known yet, memory is of the weights alone" in expected.why
    unknown = {**inputs, "model": upstream("pretrained", {"config": None})}
    assert kind.forecast(params, Situation(inputs=unknown, machines=[H100])) is None
    no_speed = [replace(H100, gpu_name="", gpu_memory_gb=0)]
    expected = kind.forecast(params, Situation(inputs=inputs, machines=no_speed))
    assert expected.hours is None and expected.peak_gb > 0


def job_of(name, **params):
    kind = KINDS.find(name)
    given = kind.Params(**{**GPU_KINDS[name], **params})
    return Job(
        kind=name,
        version=kind.VERSION,
        params=given.model_dump(mode="json"),
        validated=given,
        identity_params={},
        pins={},
        inputs={},
        used=frozenset(),
        gathers=False,
        stage=name,
        cell={},
        axis_values={},
        resources=kind.resources(given),
        workers=1,
    )


class KnownInputs(UpstreamFacts):
    """Facts of inputs that were made up for a job."""

    def __init__(self, inputs):
        super().__init__({}, lambda job: None)
        self._given = inputs

    def inputs(self, job):
        return self._given


def chosen(config, machine, past=None, *, is_alone=False, **params):
    known, past = KnownInputs(inputs_for(config)), past or JobHistory()
    return choose_fit(job_of("behave", **params), [machine], past, known, is_alone=is_alone)


def test_the_plan_takes_a_forecast_where_a_kind_chooses_no_layout():
    fit = chosen(LLAMA_8B, H100, num_gpus=1)
    assert fit.execution == {} and fit.refusal is None
    assert fit.hours > 0 and fit.peak_memory_gb > 16
    assert 17 < fit.resources.gpu_memory_gb < fit.peak_memory_gb
    assert " weights" in fit.why and "a batch" in fit.why
    assert chosen(LLAMA_8B, H100, num_gpus=0) is None


def test_jobs_share_a_gpu_where_the_study_lets_them_and_they_fit_with_room_to_spare():
    alone = chosen(GPT2, H100, num_gpus=1)
    assert alone.resources.num_gpus == 1 and alone.execution == {}
    shared = chosen(GPT2, H100, num_gpus=1, share_gpu=True)
    part = shared.resources.num_gpus
    assert 0 < part <= 0.5 and shared.execution == {"num_gpus": part}
    assert (1.2 * alone.peak_memory_gb + 1) / 80 <= part
    assert "on one GPU" in shared.why and shared.refusal is None
    smaller = chosen(
        GPT2, replace(H100, gpu_memory_gb=24, gpu_name="L4"), num_gpus=1, share_gpu=True
    )
    assert smaller.resources.num_gpus > part


def test_a_job_stays_alone_where_nothing_proves_that_two_fit():
    large = chosen(LLAMA_8B, replace(H100, gpu_memory_gb=48), num_gpus=1, share_gpu=True)
    assert large.resources.num_gpus == 1 and "alone" in large.why
    unknown = chosen(GPT2, replace(H100, gpu_memory_gb=0, gpu_name=""), num_gpus=1, share_gpu=True)
    assert unknown.resources.num_gpus == 1
    job = job_of("behave", num_gpus=1, share_gpu=True, token_budget=512)
    inputs = {**inputs_for(GPT2), "prompts": upstream("prompts", {"format": "text"})}
    no_data = choose_fit(job, [H100], JobHistory(), KnownInputs(inputs))
    assert no_data.resources.num_gpus == 1 and no_data.hours is None
    several = chosen(GPT2, H100, num_gpus=1, share_gpu=False)
    assert several.resources.num_gpus == 1


def test_where_one_job_runs_at_a_time_none_gets_a_part():
    assert chosen(GPT2, H100, num_gpus=1, share_gpu=True).resources.num_gpus < 1
    alone = chosen(GPT2, H100, num_gpus=1, share_gpu=True, is_alone=True)
    assert alone.resources.num_gpus == 1 and alone.execution == {}


def test_a_part_that_ran_out_of_memory_is_followed_by_a_whole_gpu():
    part = chosen(GPT2, H100, num_gpus=1, share_gpu=True).execution
    past = JobHistory(tried=[part])
    again = chosen(GPT2, H100, past, num_gpus=1, share_gpu=True)
    assert again.resources.num_gpus == 1 and again.execution == {} and again.refusal is None


def test_sharing_is_no_part_of_the_key():
    for name in GPU_KINDS:
        declared = KINDS.find(name).Params.model_fields.get("share_gpu")
        assert declared is None or declared.json_schema_extra == {"execution": True}


def test_what_no_gpu_can_hold_at_all_is_refused_and_what_takes_turns_is_not():
    tiny = replace(H100, gpu_memory_gb=16, gpu_name="T4")
    refused = chosen(LLAMA_8B, tiny, num_gpus=1)
    assert refused.resources.gpu_memory_gb > 16
    assert "16 GB" in why_unfit(job_of("behave", num_gpus=1), refused, [tiny])
    assert why_unfit(job_of("behave", num_gpus=1), chosen(GPT2, tiny, num_gpus=1), [tiny]) is None
