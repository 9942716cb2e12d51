"""Behaviour through a completion server on this machine, that serves a tiny model or misbehaves."""

import http.server
import json

import numpy as np
import pyarrow.parquet
import pytest

from analysis.long_table.files import from_parquet
from jobs.kind import KINDS, Upstream
from jobs.text.nursery.vocabulary import train_tokenizer
from tests.serving import LocalServer

FEW = {
    "toxic_words": "prompts",
    "new_tokens": 5,
    "token_budget": 200,
    "metrics": ["toxic_rate", "token_f1", "word_f1"],
}


class Completions(http.server.BaseHTTPRequestHandler):
    """Answers as vLLM does, by whole forward passes without batches or a cache."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def do_GET(self):  # noqa: N802
        serving = self.server.serving
        about = {"id": serving.name, "object": "model", "root": "/weights", **serving.about}
        pages = {"/v1/models": {"object": "list", "data": [about]}, "/version": {"version": "0.33"}}
        found = self.path in pages
        self.give(pages.get(self.path, {"error": "none"}), 200 if found else 404)

    def do_POST(self):  # noqa: N802
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        serving = self.server.serving
        serving.seen.append((content, dict(self.headers)))
        answer = serving.rule(content, len(serving.seen))
        self.give(*answer) if isinstance(answer, tuple) else self.give(answer)

    def give(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Serving:
    """A model served under a name; a test may put another rule in the place of `complete`."""

    def __init__(self, model):
        self.model, self.name, self.about = model, "tiny", {"max_model_len": 64}
        self.seen = []
        self.rule = lambda content, number: self.complete(content)
        self._server = LocalServer(Completions)
        self._server.serving = self
        self.base_url = f"{self._server.address}/v1"

    def close(self):
        self._server.close()

    def sent(self):
        return [tuple(content["prompt"]) for content, _ in self.seen]

    def complete(self, content, **more):
        import torch

        ids, ends = list(content["prompt"]), self.model.config.eos_token_id
        numbers = []
        for _ in range(content["max_tokens"]):
            with torch.no_grad():
                after = self.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            ids.append(int(after.argmax()))
            numbers.append(float(after.max()))
            if ids[-1] == ends:
                break
        written = ids[len(content["prompt"]) :]
        choice = {
            "index": 0,
            "text": "",
            "token_ids": written,
            "finish_reason": "stop" if written[-1:] == [ends] else "length",
            "logprobs": {"token_logprobs": numbers} if content.get("logprobs") else None,
            **more,
        }
        usage = {"prompt_tokens": len(content["prompt"]), "completion_tokens": len(written)}
        return {"id": "1", "model": self.name, "choices": [choice], "usage": usage}


@pytest.fixture(scope="module")
def model(nursery_model):
    return nursery_model(num_layers=2)


@pytest.fixture
def serving(model):
    served = Serving(model)
    yield served
    served.close()


@pytest.fixture
def inputs(root, model):
    prompts = root.done("prompts", {"format": "nursery", "options": {"num_prompts": 40}})
    return {"model": root.model("model", model, train_tokenizer()), "prompts": prompts}


@pytest.fixture
def params(serving):
    def make(**served):
        how = {"base_url": serving.base_url, "model": "tiny", "first_wait_s": 0.01, **served}
        return {**FEW, "served": how}

    return make


def rows(artifact):
    return from_parquet(artifact.read("measurements.parquet")).to_pylist()


def token_ids(artifact):
    return pyarrow.parquet.read_table(artifact.path("continuations.parquet")).to_pylist()


def failed(root, params, inputs):
    answer, _ = root.run("behave", params, **inputs)
    assert answer["state"] == "failed", answer
    return answer["error"]


def test_scorer_rows_are_those_of_the_model_itself_and_say_where_they_come_from(
    root, inputs, serving, params
):
    alone = root.done("behave", FEW, **inputs)
    served = root.done("behave", params(), **inputs)
    assert token_ids(served) == token_ids(alone)
    assert len({tuple(each["token_ids"]) for each in token_ids(served)}) > 1
    for mine, theirs in zip(rows(served), rows(alone), strict=True):
        said = mine.pop("reason")
        assert {**mine, "reason": theirs["reason"]} == theirs
        assert said == (
            "continued by a server (version 0.33), which agreed with the weights here on 8 prompts"
        )
    facts = served.facts["server"]
    assert facts["host"] == serving.base_url.removesuffix("/v1")
    assert (facts["model"], facts["version"], facts["root"]) == ("tiny", "0.33", "/weights")
    assert (facts["answered_as"], facts["max_length"]) == (["tiny"], 64)
    assert facts["check"]["num_likeliest"] == facts["check"]["num_tokens"] >= 8
    assert facts["check"]["mean_difference"] < 1e-5 and facts["check"]["largest_gap"] == 0


def test_every_prompt_is_sent_once_greedy_and_as_token_ids(root, inputs, serving, params):
    artifact = root.done("behave", params(probes=3), **inputs)
    probes = [content for content, _ in serving.seen if "logprobs" in content]
    others = [content for content, _ in serving.seen if "logprobs" not in content]
    assert len(probes) == 3 and len(others) == 40
    assert len({tuple(content["prompt"]) for content in others}) > 1
    assert {(content["temperature"], content["max_tokens"]) for content in others} == {(0, 5)}
    assert {(c["repetition_penalty"], c["return_token_ids"]) for c in others} == {(1, True)}
    assert artifact.facts["server"]["check"]["num_prompts"] == 3


def test_without_probes_no_weights_are_loaded_and_the_numbers_say_that_nothing_was_checked(
    root, inputs, serving, params, monkeypatch
):
    from jobs.behaviour import prompted_model

    def refuse(source, params):
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(prompted_model, "load_input_model", refuse)
    artifact = root.done("behave", params(probes=0), **inputs)
    assert artifact.facts["server"]["check"] is None
    assert all("not held against the weights" in row["reason"] for row in rows(artifact))


@pytest.mark.parametrize("what", ["other weights", "other log-probabilities", "unknown tokens"])
def test_a_server_of_another_model_is_refused_before_the_prompts_are_sent(
    root, inputs, serving, params, moved, model, what
):
    if what == "other weights":
        serving.model = moved(model, scale=0.5)
    elif what == "other log-probabilities":
        numbers = {"token_logprobs": [-9.0] * 5}
        serving.rule = lambda content, number: serving.complete(content, logprobs=numbers)
    else:
        ids = {"token_ids": [10**6] * 5}
        serving.rule = lambda content, number: serving.complete(content, **ids)
    error = failed(root, params(probes=4), inputs)
    assert error["code"] == "user_mistake" and len(serving.seen) == 4
    wrong = "wrote token 1000000" if what == "unknown tokens" else "does not serve the model that"
    assert wrong in error["message"]


def test_who_is_given_a_snapshot_is_told_how_to_serve_it(
    root, inputs, serving, params, moved, model
):
    from jobs.models.opened_model import OPENS, Opening, Source
    from jobs.training.snapshots.differences import write_difference

    base = inputs["model"]
    kept = {name: tensor.detach() for name, tensor in moved(model, scale=0.5).named_parameters()}

    def write(folder):
        (folder / "snapshots/3").mkdir(parents=True)
        write_difference(kept, base.directory("model"), 1, folder / "snapshots/3")

    aligned = root.publish("aligned", "align", write)
    opening = Opening(
        model=Source.of(base),
        difference=Source.of(aligned),
        folder="snapshots/3",
        form="difference",
    )

    def describe(folder):
        (folder / "model").mkdir()
        for file in base.directory("model").iterdir():
            if file.suffix != ".safetensors":
                (folder / "model" / file.name).write_bytes(file.read_bytes())

    facts = {**base.facts, OPENS: opening.to_json()}
    snapshot = root.publish("snapshot", "snapshot", describe, facts)
    error = failed(root, params(probes=2), {**inputs, "model": snapshot})
    assert "a stage of kind export" in error["message"] and "vllm serve" not in error["message"]
    serving.model = moved(model, scale=0.5)
    served = root.done("behave", params(probes=2), **{**inputs, "model": snapshot})
    assert served.facts["server"]["check"]["num_prompts"] == 2
    planned = Upstream(
        kind="snapshot", params={"snapshot": "step-3"}, facts=None, files={}, inputs={}
    )
    kind = KINDS.find("behave")
    (note,) = kind.notes(kind.Params(**params()), {"model": planned})
    assert "a snapshot has no folder that a server opens" in note


def test_what_passes_is_sent_again(root, inputs, serving, params):
    def rule(content, number):
        whole = serving.complete(content)
        faults = {
            1: ({"error": {"code": 429}}, 429),
            3: ({}, 503),
            5: b"{nonsense",
            7: {**whole, "choices": []},
            9: {**whole, "choices": whole["choices"] * 2},
            11: [],
            13: {**whole, "choices": [{**whole["choices"][0], "token_ids": ["a"]}]},
        }
        return faults.get(number, whole)

    serving.rule = rule
    served = root.done("behave", params(probes=4, at_once=3), **inputs)
    assert len(serving.seen) == 44 + 7
    assert token_ids(served) == token_ids(root.done("behave", FEW, **inputs))


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"token_ids": None}, "does not tell the token ids"),
        ({"prompt_token_ids": [0] * 99}, "read 99 tokens where"),
        ({"prompt_token_ids": ["as many"]}, "read other tokens than were sent"),
        ({"finish_reason": "length", "token_ids": [5]}, "stopped after 1 of 5 tokens"),
    ],
)
def test_a_server_that_cannot_do_this_is_the_users_mistake_at_once(
    root, inputs, serving, params, changed, wrong
):
    def rule(content, number):
        more = {
            name: value * len(content["prompt"]) if value == ["as many"] else value
            for name, value in changed.items()
        }
        return serving.complete(content, **more)

    serving.rule = rule
    error = failed(root, params(), inputs)
    assert error["code"] == "user_mistake" and wrong in error["message"]
    assert len(serving.seen) == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_token_ids_is_the_users_mistake_at_once(
    root, inputs, serving, params, status
):
    serving.rule = lambda content, number: ({"detail": "prompt must be a string"}, status)
    error = failed(root, params(), inputs)
    assert error["code"] == "user_mistake" and len(serving.seen) == 1
    assert f"does not take what it is asked: HTTP {status}" in error["message"]


def test_a_wrong_name_is_answered_with_what_is_served(root, inputs, serving, params):
    error = failed(root, params(model="tinny"), inputs)
    assert "unknown model 'tinny'" in error["message"] and not serving.seen
    assert "did you mean 'tiny'?" in error["message"]


def test_prompts_that_the_server_has_no_room_for_are_refused_before_any_is_sent(
    root, inputs, serving, params
):
    serving.about = {"max_model_len": 9}
    error = failed(root, params(), inputs)
    assert "the server takes 9" in error["message"] and "--max-model-len" in error["message"]
    assert not serving.seen


def test_a_server_that_is_away_is_no_mistake_of_the_user(root, inputs, serving, params):
    serving.close()
    error = failed(root, params(max_retries=1), inputs)
    assert error["code"] != "user_mistake"
    assert "cannot be reached, 2 times" in error["message"]


def test_one_prompt_without_a_continuation_fails_the_job_which_goes_on_where_it_was(
    root, inputs, serving, params
):
    serving.rule = lambda content, number: ({}, 500) if number == 20 else serving.complete(content)
    how = params(probes=0, at_once=1, max_retries=0)
    error = failed(root, how, inputs)
    assert "1 of 40 prompts have no answer: 1 HTTP 500" in error["message"]
    assert len(serving.seen) == 20
    answer, artifact = root.run("behave", how, attempt="two", **inputs)
    assert answer["state"] == "done" and len(serving.seen) == 20 + 21
    assert artifact.facts["server"]["num_taken_over"] == 19


def test_other_metrics_are_of_the_weights_here(root, inputs, serving, params):
    metrics = {"metrics": ["toxic_mass", "toxic_rate"]}
    served = root.done("behave", {**params(), **metrics}, **inputs)
    alone = {row["metric"]: row for row in rows(root.done("behave", {**FEW, **metrics}, **inputs))}
    mass, rate = ({row["metric"]: row for row in rows(served)}[name] for name in alone)
    assert mass == alone["toxic_mass"]
    assert np.isclose(rate["value"], alone["toxic_rate"]["value"]) and "server" in rate["reason"]
