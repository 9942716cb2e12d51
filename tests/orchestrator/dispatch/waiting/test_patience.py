"""Lengths of time as people write them; pauses that grow and are spread."""

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from orchestrator.dispatch.waiting.outage import GaveUp, Wait, persist, persist_under_lock
from orchestrator.dispatch.waiting.patience import Patience, seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("30min", 1800), ("12h", 43200), ("2d", 172800), (" 1.5 h ", 5400), ("0s", 0)],
)
def test_a_length_of_time_is_read(written, seconds):
    assert seconds_of(written, where="--patience") == seconds


@pytest.mark.parametrize("written", ["", "12", "h", "-1h", "1e9h", "nan s", "12 hours", "9" * 40])
def test_what_is_no_length_of_time_is_refused_with_examples(written):
    with pytest.raises(UserError) as refused:
        seconds_of(written, where="--patience")
    assert refused.value.where == "--patience" and "12h" in refused.value.allowed


def test_the_command_line_goes_before_the_environment():
    there = {"DELTASCALE_PATIENCE": "1h", "DELTASCALE_VISIBLE_WITHIN": "5s"}
    assert Patience.of_environment("2h", there).gives_up_after_s == 7200
    assert Patience.of_environment(None, there).gives_up_after_s == 3600
    assert Patience.of_environment(None, there).visible_within_s == 5
    assert Patience.of_environment(None, {}) == Patience()


def test_pauses_double_up_to_the_longest_and_are_spread_by_half():
    middle = Patience(draw=lambda: 0.5)
    assert [middle.pause_s(number) for number in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert middle.pause_s(10_000) == middle.longest_pause_s
    assert middle.pause_s(10_000, 60.0) == 60
    least, most = Patience(draw=lambda: 0.0), Patience(draw=lambda: 1.0)
    assert (least.pause_s(3), most.pause_s(3)) == (4, 12)


def test_what_is_insisted_on_is_done_once_it_can_be_and_told_of_once():
    now, told = [0.0], []
    patience = Patience(
        clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s), draw=lambda: 0.5
    )

    def action():
        if now[0] < 100:
            raise OSError(116, "stale file handle")
        return "done"

    assert persist(action, patience, told.append) == "done"
    assert isinstance(told[0], Wait) and told[1:] == [None]
    assert 100 <= now[0] < 200


def test_what_is_insisted_on_in_vain_ends_with_75_and_a_fault_of_ours_at_once():
    now = [0.0]
    patience = Patience(
        gives_up_after_s=600.0,
        clock=lambda: now[0],
        sleep=lambda s: now.__setitem__(0, now[0] + s),
        draw=lambda: 0.5,
    )

    def away():
        raise OSError(5, "input/output error")

    with pytest.raises(GaveUp, match="the storage since") as ended:
        persist(away, patience, lambda wait: None)
    assert ended.value.exit_code == 75 and 600 < now[0] < 700

    def bug():
        raise KeyError("ours")

    with pytest.raises(KeyError):
        persist(bug, patience, lambda wait: None)


def test_what_is_damaged_is_not_waited_for_at_the_start_of_a_launch(tmp_path):
    tries = []

    def damaged():
        tries.append(None)
        raise SurroundingsError("root.json is damaged", where=str(tmp_path))

    with pytest.raises(SurroundingsError, match="is damaged"):
        persist_under_lock(damaged, Storage(str(tmp_path)), Patience(), lambda wait: None)
    assert len(tries) == 1
