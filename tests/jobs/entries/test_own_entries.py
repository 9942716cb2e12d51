"""Own entries at the doors, and on their way to a worker."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from analysis.metric import METRICS
from cluster.errors import UserError
from jobs.entries.own_entries import apart, read_entries, received
from jobs.kind import KINDS
from jobs.kinds.measure import MeasureParams
from jobs.training.align_params import params_with_own_settings
from jobs.training.objective import OBJECTIVES
from tests.jobs.entries.files import KIND, METRIC, NUMBERS, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"metrics/spread.py": METRIC, "kinds/note.py": KIND, "_numbers.py": NUMBERS}
    return write(tmp_path / "entries", files)


def test_doors_find_what_is_brought_and_forget_it(folder: Path) -> None:
    own = read_entries(folder, "s.yaml:2")
    assert "spread" not in METRICS.names() and METRICS.get("spread") is None
    with own.bringing():
        assert {"spread", "mean_cosine"} <= set(METRICS.names())
        assert METRICS.find("spread").REPORTS == ("spread",)
        assert KINDS.find("note").VERSION == 1
        with apart():
            assert "spread" not in METRICS.names()
            own.bring()
            assert "spread" in METRICS.names()
        assert "spread" in METRICS.names()
    assert "spread" not in METRICS.names()
    own.bring()  # outside of any block
    assert "spread" not in METRICS.names()


def test_a_folder_is_read_again_while_its_entries_stand_at_the_doors(folder: Path) -> None:
    own = read_entries(folder, "s.yaml:2")
    with own.bringing():
        assert read_entries(folder, "s.yaml:2").is_same(own)
        (folder / "_numbers.py").write_text("FACTOR = 3\n")
        assert not read_entries(folder, "s.yaml:2").is_same(own)


def test_all_metrics_are_the_package_s_and_own_ones_are_named(folder: Path) -> None:
    with read_entries(folder, "s.yaml:2").bringing():
        assert "spread" not in MeasureParams().metrics
        assert MeasureParams().metrics == MeasureParams(metrics="all").metrics
        both = MeasureParams(metrics=["all", "spread"]).metrics
        assert set(both) - {"spread"} == set(MeasureParams().metrics)
        assert MeasureParams(metrics="spread").metrics == ("spread",)


OBJECTIVE = """
from jobs.training.objective import Objective, Setting


class Soft(Objective):
    SETTINGS = {"gamma": Setting(description="Margin asked for.", default=0.5)}

    def make_trainer(self, lesson):
        raise AssertionError("nothing is trained here")

    def validation_loss(self, policy, reference, settings):
        return settings["gamma"]
"""


def test_a_setting_of_an_own_objective_is_a_param_while_it_is_brought(tmp_path: Path) -> None:
    folder = write(tmp_path / "entries", {"objectives/soft.py": OBJECTIVE})
    plain = params_with_own_settings()
    assert "gamma" not in plain.model_fields
    with read_entries(folder, "s.yaml:2").bringing():
        params = params_with_own_settings()
        given = params(objective="soft", gamma=2.0)
        assert given.settings() == {"gamma": 2.0}
        assert given.model_dump()["gamma"] == 2.0
        assert params(objective="soft").settings() == {"gamma": 0.5}
        assert "gamma" not in params(objective="dpo").model_dump()
        assert params(objective="dpo").model_dump() == plain(objective="dpo").model_dump()
        with pytest.raises(UserError, match="has no gamma: it would be ignored") as raised:
            params(objective="dpo", gamma=1.0)
        assert "soft" in str(raised.value.hint)
    assert OBJECTIVES.get("soft") is None


def test_a_worker_takes_what_was_sent_and_refuses_other_bytes(folder: Path) -> None:
    own = read_entries(folder, "s.yaml:2")
    pins = own.pins(["kinds/note.py"])
    assert set(pins) == {"entries/kinds/note.py", "entries/_numbers.py"}
    sent = json.loads(json.dumps(own.sent(["kinds/note.py"])))
    assert "metrics/spread.py" not in sent["modules"]
    with received(sent, pins).bringing():
        assert KINDS.find("note").VERSION == 1
    for name in sent["modules"]:
        other = deepcopy(sent)
        other["modules"][name]["text"] += "# another comment\n"
        with pytest.raises(UserError, match=f"own entry {name} is not the code"):
            received(other, {})
        other["modules"][name]["sha256"] = received_digest(other["modules"][name]["text"])
        with pytest.raises(UserError, match=f"own entry {name} is not the code"):
            received(other, pins)
        del other["modules"][name]
        with pytest.raises(UserError):
            received(other, pins)
    with pytest.raises(UserError, match="is not the code"):
        received({}, pins)


def received_digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()
