import json
import os
from contextlib import nullcontext

import pytest

from cluster.errors import UserError
from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.kind import KINDS
from jobs.service.key_uses import KeyUse, key_uses, may_ask_hosts
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.permission.configuration import read_configuration
from orchestrator.permission.confirmation import allowed_keys
from orchestrator.plan.decided_plan import plan_study
from orchestrator.study.study import load_study

STUDY = """
study: closed
stages:
  texts: {kind: prompts, params: {format: nursery, options: {num_prompts: 4}}}
  model:
    kind: ask
    inputs: {prompts: texts}
    params:
      base_url: https://api.example.com/v1
      model: tiny
      api_key_variable: LLM_KEY
      toxic_words: prompts
      scorer: {name: perspective, key_variable: JUDGE_KEY, url: "http://127.0.0.1:9/a"}
"""
USES = {
    KeyUse(variable="LLM_KEY", host="api.example.com"),
    KeyUse(variable="JUDGE_KEY", host="http://127.0.0.1:9"),
}


@pytest.fixture(autouse=True)
def own_files(tmp_path, monkeypatch):
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "DELTASCALE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def study(tmp_path):
    (tmp_path / "closed.yaml").write_text(STUDY)
    return load_study(tmp_path / "closed.yaml")


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "root")


@pytest.fixture
def jobs(root, study):
    return plan_study(root, study).jobs


def configure(home, text, mode=0o600):
    path = home / ".config/deltascale/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("key", ["K3J9X0QWE7ZB4LT8", "correct-horse-battery"])
def test_a_key_among_the_values_of_an_axis_is_not_repeated(key, root, tmp_path):
    text = STUDY.replace("stages:", f"axes: {{k: [{key}]}}\nstages:")
    text = text.replace("kind: ask", "kind: ask\n    over: [k]").replace("LLM_KEY", '"${k}"')
    (tmp_path / "closed.yaml").write_text(text)
    with pytest.raises(UserError) as fault:
        plan_study(root, load_study(tmp_path / "closed.yaml"))
    assert "never the key itself" in str(fault.value) and key not in str(fault.value)


def test_where_keys_go_is_read_off_the_params_of_kinds_and_scorers(jobs):
    (asking,) = (job for job in jobs if job.kind == "ask")
    assert key_uses(asking.params_as(KINDS.find("ask").Params)) == USES


def test_kinds_are_looked_at_without_a_declaration():
    using = {
        name for name in ("ask", "behave", "extract") if may_ask_hosts(KINDS.find(name).Params)
    }
    assert using == {"ask", "behave"}


def test_what_nobody_allowed_is_refused_with_the_lines_to_add(jobs, root, own_files):
    with pytest.raises(UserError) as fault:
        allowed_keys(root, "closed", jobs)
    message = str(fault.value)
    assert "LLM_KEY to api.example.com" in message and "stage 'model'" in message
    lines = message.partition("config.yaml:\n")[2]
    configure(own_files, lines)
    assert allowed_keys(root, "closed", jobs) == ["JUDGE_KEY", "LLM_KEY"]


def test_an_answer_is_remembered_for_this_study_on_this_root_outside_of_it(
    jobs, root, own_files, tmp_path
):
    questions = []

    def yes(question):
        questions.append(question)
        return True

    assert allowed_keys(root, "closed", jobs, yes) == ["JUDGE_KEY", "LLM_KEY"]
    assert "LLM_KEY to api.example.com" in questions[0] and "http://127.0.0.1:9" in questions[0]
    assert allowed_keys(root, "closed", jobs) == ["JUDGE_KEY", "LLM_KEY"]
    assert len(questions) == 1
    for other_root, other_study in ((Storage(tmp_path / "other"), "closed"), (root, "other")):
        with pytest.raises(UserError):
            allowed_keys(other_root, other_study, jobs)
    file = own_files / ".local/state/deltascale/confirmed-keys.json"
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("damaged")
    with pytest.raises(UserError):
        allowed_keys(root, "closed", jobs)


def test_no_means_no_and_is_not_remembered(jobs, root, own_files):
    with pytest.raises(UserError, match="did not allow"):
        allowed_keys(root, "closed", jobs, lambda question: False)
    assert not (own_files / ".local/state/deltascale").exists()


@pytest.mark.parametrize(
    "host", ["example.com", "api.example.com.evil.org", "api.example.com:444", "*", ""]
)
def test_another_host_is_not_the_one_that_is_allowed(host, jobs, root, own_files):
    configure(
        own_files,
        f"keys:\n- {{variable: LLM_KEY, host: {host!r}}}\n"
        "- {variable: JUDGE_KEY, host: 'http://127.0.0.1:9'}\n",
    )
    with pytest.raises(UserError, match="LLM_KEY to api.example.com"):
        allowed_keys(root, "closed", jobs)


def test_whoever_writes_the_root_cannot_allow_anything(jobs, root, own_files, monkeypatch):
    allowed = "keys:\n" + "".join(
        f"- {{variable: {use.variable}, host: {use.host!r}}}\n" for use in USES
    )
    below = root.path("config.yaml")
    below.parent.mkdir(parents=True)
    below.write_text(allowed)
    monkeypatch.setenv("DELTASCALE_CONFIG", str(below))
    with pytest.raises(UserError, match="lies under the output root"):
        allowed_keys(root, "closed", jobs)
    monkeypatch.delenv("DELTASCALE_CONFIG")
    configure(own_files, allowed, 0o666)
    with pytest.raises(UserError, match="other users may write"):
        allowed_keys(root, "closed", jobs)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    configure(own_files, allowed, 0o644)
    os.chown(own_files / ".config/deltascale/config.yaml", 4243, -1)
    with pytest.raises(UserError, match="another user"):
        allowed_keys(root, "closed", jobs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key:\n", "unknown field 'key'"),
        ("keys:\n- {variable: opensesame, host: a}\n", "no name of an environment variable"),
        ("keys: [1, 2]\n", "keys"),
        ("- 1\n", "mapping"),
        ("a: [\n", "not YAML"),
        ("environment: ['A=1']\n", "no name of an environment variable"),
    ],
)
def test_a_damaged_configuration_is_one_message(text, said, root, own_files):
    configure(own_files, text)
    with pytest.raises(UserError) as fault:
        read_configuration(root)
    assert said in str(fault.value) and "opensesame" not in str(fault.value)
    assert "config.yaml" in str(fault.value) or "environment" in str(fault.value)


def test_a_configuration_that_is_named_must_be_there(root, monkeypatch, tmp_path):
    assert read_configuration(root).keys == ()
    monkeypatch.setenv("DELTASCALE_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="no such configuration"):
        read_configuration(root)


def test_a_launch_that_is_not_allowed_starts_and_writes_nothing(root, study):
    class NeverStarted(Executor):
        def start(self):
            raise AssertionError("started")

    with pytest.raises(UserError, match="has not been allowed"):
        launch(
            root,
            study,
            executor=NeverStarted(),
            executor_name="local",
            progress=lambda: nullcontext(Watcher()),
        )
    assert not root.list("studies")


def test_what_was_allowed_is_written_as_json_people_can_read(jobs, root, own_files):
    allowed_keys(root, "closed", jobs, lambda question: True)
    entries = json.loads((own_files / ".local/state/deltascale/confirmed-keys.json").read_text())
    assert {(entry["variable"], entry["host"]) for entry in entries} == {
        (use.variable, use.host) for use in USES
    }
