"""The mirror: logins wherever W&B's client looks, servers that are away, one run per job."""

import http.server
import json
import os
import socket
import threading
import time
from dataclasses import replace

import pytest
import wandb

from cluster.errors import UserError
from jobs.mirror import client
from jobs.mirror.client import notes_on_mirror, open_run, tracking_mode
from jobs.mirror.outage import MirrorOutage, within
from jobs.mirror.run_name import RunName
from jobs.mirror.summary import Summary, mirror_summary
from jobs.mirror.variables import require_known_mode
from jobs.worker import tracking
from jobs.worker.tracking import Tracker

KEY = "0" * 40
NETRC = "machine {}\n  login user\n  password {}\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without W&B, and a W&B client that has read nothing yet."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    wandb.teardown()
    monkeypatch.setattr(client, "_is_imported", False)
    yield tmp_path
    wandb.teardown()
    for name in list(os.environ):  # what W&B left
        if name.startswith("WANDB_"):
            del os.environ[name]


def told(caplog):
    """What the job's log says of the mirror."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name in (client.__name__, tracking.__name__)
    ]


def put(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


PLAIN = NETRC.format("api.wandb.ai", KEY)
OWN = NETRC.format("wandb.example.org", KEY)
SETTINGS = "[default]\nbase_url = https://wandb.example.org\n"


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({".netrc": PLAIN}, {}),
        ({"_netrc": PLAIN}, {}),
        ({"shared": PLAIN}, {"NETRC": "shared"}),
        ({".netrc": OWN, ".config/wandb/settings": SETTINGS}, {}),
        ({".netrc": OWN, "elsewhere/settings": SETTINGS}, {"WANDB_CONFIG_DIR": "elsewhere"}),
        ({".netrc": OWN, "wandb/settings": SETTINGS}, {}),
        ({".netrc": OWN}, {"WANDB_BASE_URL": "https://wandb.example.org/"}),
        ({".netrc": NETRC.format("default", KEY).replace("machine ", "")}, {}),
        ({}, {"WANDB_API_KEY": KEY}),
        ({"token": "jwt"}, {"WANDB_IDENTITY_TOKEN_FILE": "token"}),
        ({}, {"WANDB_MODE": "online"}),
        ({}, {"WANDB_MODE": " Run "}),
    ],
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_login_in_any_place_that_the_client_knows_is_online(
    home, monkeypatch, files, variables, mode
):
    for name, text in files.items():
        put(home / name, text, mode)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracking_mode() == "online"


@pytest.mark.parametrize(
    ("files", "variables", "mode"),
    [
        ({}, {}, "offline"),
        ({".netrc": OWN}, {}, "offline"),
        ({".netrc": PLAIN, ".config/wandb/settings": "[default]\nmode = offline\n"}, {}, "offline"),
        (
            {".netrc": PLAIN, ".config/wandb/settings": "[default]\nmode = disabled\n"},
            {},
            "disabled",
        ),
        ({".netrc": PLAIN}, {"WANDB_MODE": "offline"}, "offline"),
        ({".netrc": PLAIN}, {"WANDB_MODE": "dryrun"}, "offline"),
        ({".netrc": PLAIN}, {"WANDB_MODE": "Disabled"}, "disabled"),
    ],
)
def test_no_login_or_another_wish_is_not_online(home, monkeypatch, caplog, files, variables, mode):
    for name, text in files.items():
        put(home / name, text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracking_mode() == mode
    assert not told(caplog)


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({}, {"WANDB_API_KEY": "short"}),
        ({".netrc": NETRC.format("api.wandb.ai", "short")}, {}),
        ({"token": "jwt"}, {"WANDB_API_KEY": KEY, "WANDB_IDENTITY_TOKEN_FILE": "token"}),
        ({".netrc": PLAIN}, {"WANDB_BASE_URL": "wandb.example.org"}),
    ],
)
def test_a_login_that_cannot_be_used_says_why(home, monkeypatch, caplog, files, variables):
    for name, text in files.items():
        put(home / name, text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracking_mode() == "offline"
    (message,) = told(caplog)
    assert "W&B is offline, because its login cannot be used" in message


def name_of(home, key="k", launch="launch"):
    return RunName(
        root_id="r",
        key=key,
        study="study",
        kind="align",
        label=f"aligned[{key}]",
        folder=str(home / "mirror"),
        config={"beta": 0.1},
        tags=["study", "aligned", "t" * 70],
        root=str(home / "root"),
        launch=launch,
    )


class Away(http.server.BaseHTTPRequestHandler):
    """Answers 500, or as many good answers first as `good` says."""

    good = 0

    def do_POST(self):
        self.server.asked += 1
        self.send_response(200 if self.server.asked <= self.good else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(params=["dead", "mute", "500"])
def server(request, home, monkeypatch):
    """A W&B on this machine that is away in one of three ways."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(client, "_ANSWERS_WITHIN_S", 0.5)
    if request.param == "500":
        at_work = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away)
        at_work.asked = 0
        threading.Thread(target=at_work.serve_forever, daemon=True).start()
        port = at_work.server_port
    else:
        at_work = socket.create_server(("127.0.0.1", 0))
        port = at_work.getsockname()[1]
        if request.param == "dead":
            at_work.close()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    yield at_work
    if request.param == "500":
        at_work.shutdown()
        at_work.server_close()
    at_work = None


def test_the_first_job_finds_w_and_b_away_says_so_and_the_others_go_offline_at_once(
    server, home, monkeypatch, caplog
):
    opened, asked, ask = [], [], client.require_answer

    def note(name, mode):
        opened.append(mode)
        return lambda: mode

    def count():
        asked.append(1)
        ask()

    monkeypatch.setattr(client, "_opening", note)
    monkeypatch.setattr(client, "require_answer", count)
    for key in ("one", "two", "three"):
        assert open_run(name_of(home, key)) == "offline"
    assert opened == ["offline"] * 3
    assert asked == [1]
    (message,) = told(caplog)
    assert "W&B is away" in message and "deltascale sync" in message
    assert MirrorOutage(str(home / "root"), "study", "launch").reason is not None
    assert open_run(name_of(home, launch="the next")) == "offline"
    assert asked == [1, 1]


def test_an_outage_is_believed_for_an_hour(home, monkeypatch):
    outage, now = MirrorOutage(str(home / "root"), "study", "launch"), time.time()
    assert outage.note("refused") and not outage.note("again")
    assert outage.reason == "refused"
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    assert outage.reason is None
    assert outage.note("still")


@pytest.mark.parametrize("data", [b"", b"{", b"3", b'{"reason": 1}', b'{"at": "x", "reason": ""}'])
def test_a_damaged_note_of_an_outage_is_none(home, data):
    folder = home / "root/studies/study/wandb"
    folder.mkdir(parents=True)
    (folder / "away-launch.json").write_bytes(data)
    assert MirrorOutage(str(home / "root"), "study", "launch").reason is None


def test_one_that_answers_once_and_then_no_more_costs_one_time_limit_and_keeps_the_run(
    home, monkeypatch, caplog
):
    """W&B's own process still has the run's id: it is ended before the run is opened offline."""
    at_work = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (Away,), {"good": 1}))
    at_work.asked = 0
    threading.Thread(target=at_work.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{at_work.server_port}")
    monkeypatch.setattr(client, "_OPENS_WITHIN_S", 1.0)
    tracker = Tracker(name_of(home))
    tracker.log({"loss": 1.0}, axis="train/step", step=1)
    tracker.finish(0)
    at_work.shutdown()
    at_work.server_close()
    assert [run.name.split("-")[-1] for run in (home / "mirror/wandb").glob("offline-run-*")] == [
        name_of(home).id
    ]
    assert len(told(caplog)) == 1


def test_a_finish_that_hangs_is_not_waited_for(home, monkeypatch, caplog):
    class Hanging:
        def finish(self, exit_code):
            threading.Event().wait()

    monkeypatch.setattr(client, "GRACE_S", 0.01)
    tracker = Tracker(replace(name_of(home), finishes_within_s=0.01))
    tracker._run = Hanging()
    tracker.finish(0)
    assert "W&B is away" in caplog.text
    assert MirrorOutage(str(home / "root"), "study", "launch").reason is not None


def test_a_row_that_is_not_taken_is_not_waited_for(home, monkeypatch, caplog):
    class Hanging:
        define_metric = finish = staticmethod(lambda *_, **__: None)

        def log(self, row):
            rows.append(row)
            is_called.set()
            threading.Event().wait()

    rows, is_called = [], threading.Event()
    monkeypatch.setattr(tracking, "GRACE_S", 0.01)
    tracker = Tracker(name_of(home))
    tracker._run = Hanging()
    for step in range(3):
        tracker.log({"loss": 1.0}, axis="train/step", step=step)
    tracker.finish(0)
    assert is_called.wait(60)  # its thread may begin after it was given up
    assert len(rows) == 1
    assert len(told(caplog)) == 1


def test_what_a_call_raises_or_returns_in_time_is_passed_on():
    assert within(60, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(60, lambda: {}["missing"])
    with pytest.raises(TimeoutError):
        within(0.01, threading.Event().wait)


LEFT_OVER = {
    "WANDB_SWEEP_ID": "abcd1234",
    "WANDB_RUN_ID": "efgh5678",
    "WANDB_RUN_GROUP": "theirs",
    "WANDB_RESUME": "must",
    "WANDB_NAME": "theirs",
    "WANDB_JOB_TYPE": "theirs",
    "WANDB_PROJECT": "theirs",
    "WANDB_DIR": "/nowhere",
    "WANDB_SWEEP_PARAM_PATH": "/nowhere/params.yaml",
    "WANDB_CONFIG": '{"theirs": 1}',
    "WANDB_SERVICE": "3-1-unix-/nowhere",
    "WANDB_LAUNCH": "true",
}


def test_each_job_is_a_run_of_its_own_inside_a_sweep_agent(home, monkeypatch, caplog):
    for name, value in LEFT_OVER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_TAGS", "mine, again")
    (note,) = notes_on_mirror()
    assert all(name in note for name in LEFT_OVER) and "WANDB_TAGS" not in note
    for key in ("one", "two"):
        tracker = Tracker(name_of(home, key))
        tracker.describe({"model": {"family": "gpt2", "num_parameters": 36}}, {"family": "gpt2"})
        tracker.log({"loss": 1.0}, axis="train/step", step=1)
        run = tracker._run
        assert (run.id, run.group, run.job_type) == (name_of(home, key).id, "study", "align")
        assert (run.name, run.project, run.sweep_id) == (f"aligned[{key}]", "deltascale", None)
        assert dict(run.config) == {"beta": 0.1, "family": "gpt2", "num_parameters": 36}
        assert set(run.tags) == {"study", "aligned", "t" * 64, "mine", "again"}
        tracker.finish(0)
    assert not told(caplog)
    runs = sorted(path.name.split("-")[-1] for path in (home / "mirror/wandb").glob("offline-*"))
    assert runs == sorted(name_of(home, key).id for key in ("one", "two"))


def test_facts_that_differ_are_no_facts_of_the_run(home):
    tracker = Tracker(name_of(home))
    tracker.describe(
        {"family": "gpt2", "num_parameters": 1}, {"family": "gpt2", "num_parameters": 2}
    )
    assert tracker._about == {"family": "gpt2"}
    tracker.describe({"num_parameters": 3, "other": 4})
    assert tracker._about == {"family": "gpt2", "num_parameters": 3}
    json.dumps(tracker._about)


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({"WANDB_MODE": "shared"}, "online"),
        ({"WANDB_MODE": "ofline"}, "offline"),
        ({"WANDB_DISABLED": "true"}, "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "offline"}, "offline"),
        ({"WANDB_DISABLED": "false"}, "online"),
    ],
)
def test_a_mode_of_another_time_or_a_mistyped_one_never_sends_more_than_was_meant(
    home, monkeypatch, variables, mode
):
    put(home / ".netrc", PLAIN)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracking_mode() == mode


def test_a_mistyped_mode_is_told_with_the_nearest_before_a_launch(home, monkeypatch):
    for word in ("", "online", "Offline ", "disabled", "dryrun", "run", "shared"):
        monkeypatch.setenv("WANDB_MODE", word)
        require_known_mode()
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match="'ofline'") as fault:
        require_known_mode()
    assert "WANDB_MODE" in fault.value.where and "'offline'" in fault.value.hint


@pytest.mark.parametrize(
    ("name", "value", "is_named"),
    [
        ("WANDB_MODE", "ofline", True),
        ("WANDB_MODE", "Offline", False),
        ("WANDB_HTTP_TIMEOUT", "abc", True),
        ("WANDB_SILENT", "maybe", True),
        ("WANDB_CACHE_DIR", "/proc/nowhere", False),
        ("WANDB_DATA_DIR", "/proc/nowhere", False),
        ("HOME", "/proc/nowhere", False),
        ("HOME", "", False),
        ("XDG_CACHE_HOME", "beside", False),
    ],
)
def test_what_w_and_b_cannot_read_or_write_costs_no_run_and_prints_nothing(
    home, monkeypatch, caplog, capfd, name, value, is_named
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv(name, value)
    tracker = Tracker(name_of(home))
    tracker.log({"loss": 1.0}, axis="train/step", step=1)
    tracker.finish(0)
    wandb.teardown()
    assert len(list((home / "mirror/wandb").glob("offline-run-*"))) == 1
    assert capfd.readouterr().err == ""
    assert any(name in text for text in told(caplog)) == is_named
    assert not is_named or len(told(caplog)) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("HOME", "/proc/nowhere"), ("WANDB_DATA_DIR", "/proc/nowhere")]
)
def test_tables_are_kept_where_w_and_b_can_write_no_folder_of_its_own(
    home, monkeypatch, caplog, name, value
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv(name, value)
    table = (["size"], [["1"], ["2"]])
    about = Summary(tables={"all": table}, figures={}, lines=[], verdicts={}, reused=[])
    mirror_summary(name_of(home), about)
    wandb.teardown()
    assert "broke" not in caplog.text
    assert list((home / "mirror/artifacts/staging").iterdir())


def test_a_launch_says_that_the_old_switch_is_heeded(home, monkeypatch):
    monkeypatch.setenv("WANDB_DISABLED", "true")
    (note,) = notes_on_mirror()
    assert "WANDB_DISABLED" in note and "no runs" in note
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert notes_on_mirror() == []
