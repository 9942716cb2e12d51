"""A model behind a real HTTP endpoint on this machine, which misbehaves as services do."""

import json
import signal
import subprocess
import sys
from collections import Counter

import pytest

from analysis.long_table.files import from_parquet
from cluster.errors import UserError
from jobs.behaviour.ask_params import AskParams
from jobs.text.nursery.language import the_language
from jobs.text.nursery.vocabulary import in_register

KEY = "sk-not-to-be-written-0123456789"
TOXIC = sorted(the_language().toxic)[0]
FEW = {"model": "tiny", "toxic_words": "prompts", "first_wait_s": 0.01, "requests_per_minute": 6e5}


@pytest.fixture
def prompts(root):
    def make(**params):
        options = {"num_prompts": 40, **params.pop("options", {})}
        return root.done("prompts", {"format": "nursery", "options": options, **params})

    return make


@pytest.fixture
def params(service, monkeypatch):
    def make(**more):
        return {**FEW, "base_url": f"{service.address}/v1", **more}

    return make


def rows(artifact):
    table = from_parquet(artifact.read("measurements.parquet")).to_pylist()
    return {row["metric"]: row for row in table}


def lines_of(prompts):
    return [json.loads(line) for line in prompts.read("prompts.jsonl").decode().splitlines()]


def asked(service):
    """How often each prompt was asked."""
    return Counter(content["messages"][-1]["content"] for content, _ in service.seen)


def some_toxic(request, number):
    """About half of the prompts are answered with a toxic word."""
    provoked = provokes(request.content["messages"][-1]["content"])
    request.say(f"well {TOXIC} then" if provoked else "well then")


def provokes(question):
    return sum(question.encode()) % 2 == 0


def test_the_rate_is_that_of_the_answers_and_no_text_or_key_is_kept(
    root, service, prompts, params, monkeypatch
):
    monkeypatch.setenv("A_KEY_OF_MINE", KEY)
    service.rule = some_toxic
    given = prompts()
    artifact = root.done("ask", params(api_key_variable="A_KEY_OF_MINE"), prompts=given)
    questions = [line["segments"][0]["text"] for line in lines_of(given)]
    share = sum(map(provokes, questions)) / len(questions)
    row = rows(artifact)["toxic_rate"]
    assert (row["value"], row["num_rows"], row["status"]) == (share, 40, "ok")
    assert (row["family"], row["num_parameters"], row["position"]) == ("endpoint", None, "response")
    assert row["low"] < row["value"] < row["high"]
    assert asked(service) == Counter(questions)
    content, headers = service.seen[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (content["model"], content["max_tokens"], content["temperature"]) == ("tiny", 20, 0)
    assert artifact.facts["served"] == ["tiny-2026"]
    folder = root.storage.path(artifact.folder)
    for file in [each for each in folder.rglob("*") if each.is_file()]:
        assert not any(secret in file.read_bytes() for secret in (KEY.encode(), b"well"))


def test_what_passes_is_asked_again_until_it_is_answered(root, service, prompts, params):
    faults = {
        1: lambda request: request.refuse(429, Retry_After=0.2),
        2: lambda request: request.refuse(500),
        3: lambda request: request.talk_nonsense(),
        4: lambda request: request.cut_off(),
        5: lambda request: request.hang_up(),
        6: lambda request: request.drip(),
        7: lambda request: request.give({"choices": []}),
        8: lambda request: request.give({"choices": [{"message": {"content": 7}}]}),
        9: lambda request: request.refuse(503),
    }
    service.rule = lambda request, number: faults.get(number, lambda it: it.say(TOXIC))(request)
    artifact = root.done("ask", params(timeout_s=0.5), prompts=prompts())
    rate = rows(artifact)["toxic_rate"]
    assert (rate["value"], artifact.facts["missing"]) == (1.0, {})
    assert 0.8 < rate["low"] < 0.95 and rate["high"] == 1.0  # of 40 prompts that all agree
    assert len(service.seen) == 40 + len(faults)


def test_nobody_asks_before_a_service_that_asked_for_a_pause_wants_it(
    root, service, prompts, params
):
    import time

    heard = []

    def rule(request, number):
        heard.append(time.monotonic())
        request.refuse(429, Retry_After=1) if number == 1 else request.say("")

    service.rule = rule
    root.done("ask", params(at_once=1), prompts=prompts(options={"num_prompts": 3}))
    assert len(heard) == 4 and heard[1] - heard[0] >= 1.0  # a lower bound holds on any machine


def test_a_prompt_without_an_answer_is_missing_with_its_reason(root, service, prompts, params):
    given = prompts()
    lost = lines_of(given)[7]["segments"][0]["text"]

    def rule(request, number):
        fails = request.content["messages"][-1]["content"] == lost
        request.refuse(502) if fails else request.say(TOXIC)

    service.rule = rule
    artifact = root.done("ask", params(max_retries=2), prompts=given)
    assert artifact.facts["missing"] == {"HTTP 502, 3 times": 1}
    row = rows(artifact)["toxic_rate"]
    assert (row["num_rows"], row["reason"]) == (39, "1 of 40 prompts have no answer")
    assert asked(service)[lost] == 3


def test_too_many_without_an_answer_fail_the_job_with_one_clear_message(
    root, service, prompts, params
):
    service.rule = lambda request, number: request.refuse(400)
    answer, _ = root.run("ask", params(at_once=1), prompts=prompts())
    assert (answer["state"], answer["error"]["code"] == "user_mistake") == ("failed", False)
    assert "3 of 40 prompts have no answer: 3 HTTP 400" in answer["error"]["message"]
    assert len(service.seen) == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_the_users_mistake_at_once_and_repeats_no_key(
    root, service, prompts, params, monkeypatch, status
):
    monkeypatch.setenv("MINE", KEY)  # a name that no rule takes for a secret
    service.rule = lambda request, number: request.refuse(status)
    answer, artifact = root.run(
        "ask", params(api_key_variable="MINE", at_once=1), prompts=prompts()
    )
    assert (
        answer["error"]["code"] == "user_mistake" and f"HTTP {status}" in answer["error"]["message"]
    )
    assert len(service.seen) == 1
    log = root.storage.path(artifact.folder) / "attempts/1/log.txt"
    assert KEY not in json.dumps(answer) + log.read_text()


def test_after_a_kill_what_was_answered_is_not_asked_again(root, service, prompts, params):
    given, settings = prompts(), params(at_once=2)
    started = []

    def rule(request, number):
        if number == 25:
            started[0].send_signal(signal.SIGKILL)
        else:
            request.say(TOXIC if number % 2 else "well")

    service.rule = rule
    payload, artifact = root.payload("ask", settings, inputs={"prompts": given})
    code = (
        "import sys; from jobs import run; from cluster.executor import Surroundings; "
        "run.run(sys.stdin.read(), Surroundings())"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    started.append(worker)
    worker.communicate(payload.encode(), timeout=120)
    assert worker.returncode == -signal.SIGKILL
    first = len(service.seen)
    answer, _ = root.run("ask", settings, attempt="two", prompts=given)
    assert answer["state"] == "done"
    # Under way when it was killed: the one that killed it, and one beside it at most.
    again = sum(count - 1 for count in asked(service).values())
    assert first >= 25 and 1 <= again <= 2
    assert artifact.facts["num_taken_over"] == first - again
    assert artifact.facts["num_answered"] == 40 and len(asked(service)) == 40


def test_a_job_that_is_asked_to_stop_stops_and_keeps_its_answers(root, service, prompts, params):
    service.rule = lambda request, number: request.say("well")
    given, settings = prompts(), params(at_once=1)
    answer, _ = root.run("ask", settings, stop=lambda: len(service.seen) >= 10, prompts=given)
    assert answer["state"] == "stopped" and len(service.seen) < 40
    assert root.run("ask", settings, attempt="two", prompts=given)[0]["state"] == "done"
    assert set(asked(service).values()) == {1} and len(service.seen) == 40


def test_a_wait_that_the_service_asked_for_ends_when_the_job_is_to_stop(
    root, service, prompts, params
):
    service.rule = lambda request, number: request.refuse(429, Retry_After=100)
    stop = lambda: len(service.seen) >= 1  # noqa: E731
    answer, _ = root.run("ask", params(), stop=stop, prompts=prompts())
    assert answer["state"] == "stopped"


def test_dialogues_are_asked_as_messages_without_marks_or_the_answer(
    root, service, prompts, params, tmp_path
):
    shared = "\n\nHuman: one two\n\nAssistant: three\n\nHuman: four five\n\nAssistant:"
    source = tmp_path / "pairs.jsonl"
    source.write_text(json.dumps({"chosen": f"{shared} six", "rejected": f"{shared} seven"}) + "\n")
    given = root.done(
        "prompts",
        {"format": "hh-rlhf", "source": str(source), "transform": "rot13", "positions": ["turn"]},
    )
    service.rule = lambda request, number: request.say("fvk fvk")
    settings = params(metrics=["word_f1"])
    artifact = root.done("ask", settings, prompts=given)
    assert service.seen[0][0]["messages"] == [
        {"role": "user", "content": "bar gjb"},
        {"role": "assistant", "content": "guerr"},
        {"role": "user", "content": "sbhe svir"},
    ]
    assert rows(artifact)["word_f1"]["value"] == pytest.approx(2 / 3)


def test_an_answer_in_the_transform_is_judged_in_plain_words(root, service, prompts, params):
    service.rule = lambda request, number: request.say(in_register(TOXIC, "rot13"))
    artifact = root.done("ask", params(), prompts=prompts(transform="rot13"))
    assert rows(artifact)["toxic_rate"]["value"] == 1.0


def test_a_key_that_is_not_set_is_the_users_mistake(root, prompts, params, monkeypatch):
    monkeypatch.delenv("A_KEY_OF_MINE", raising=False)
    answer, _ = root.run("ask", params(api_key_variable="A_KEY_OF_MINE"), prompts=prompts())
    assert (
        answer["error"]["code"] == "user_mistake"
        and "A_KEY_OF_MINE is not set" in answer["error"]["message"]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key_variable": KEY},
        {"base_url": f"https://user:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?api_key={KEY}"},
    ],
)
def test_a_key_in_the_study_is_refused_and_not_repeated(wrong):
    with pytest.raises(UserError) as caught:
        AskParams(**{"base_url": "http://host/v1", "model": "m", **wrong})
    assert KEY not in str(caught.value) and "environment variable" in str(caught.value)
