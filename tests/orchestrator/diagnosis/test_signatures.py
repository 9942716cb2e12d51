"""Every shipped signature is found in its own logs and in no other; a normal log holds none."""

import re
from pathlib import Path

import pytest

from cluster.fault_classes import FaultClass
from jobs.kind import KINDS
from orchestrator.diagnosis.matching import Remains, search
from orchestrator.diagnosis.signature import SIGNATURES, shipped

LOGS = Path(__file__).parent / "logs"
CASES = sorted(path.relative_to(LOGS).with_suffix("").as_posix() for path in LOGS.rglob("*.txt"))
FAULTS = [case for case in CASES if not case.startswith("none/")]
HARMLESS = [case for case in CASES if case.startswith("none/")]


def lines_of(case):
    return (LOGS / f"{case}.txt").read_text(encoding="utf-8").splitlines()


def names_in(*lines, message=""):
    return [
        match.failure.name for match in search(Remains(message=message, log=lines), shipped()).found
    ]


def test_every_signature_has_a_log_and_every_log_a_signature():
    assert {case.split("/")[0] for case in FAULTS} == set(SIGNATURES.names())


@pytest.mark.parametrize("case", FAULTS)
def test_the_same_words_as_a_message_are_told_alike(case):
    message = "\n".join(lines_of(case)[3:])
    assert names_in(message=message) == [case.split("/")[0]]


@pytest.mark.parametrize("case", HARMLESS)
def test_a_log_without_a_fault_holds_none(case):
    assert names_in(*lines_of(case)) == []


@pytest.mark.parametrize("case", FAULTS)
def test_a_log_holds_its_signature_and_no_other_whatever_is_harmless_around_it(case):
    harmless = [line for other in HARMLESS for line in lines_of(other)]
    lines = [*harmless, *lines_of(case)[3:], *harmless]
    assert names_in(*lines) == [case.split("/")[0]]


CONSEQUENCES = (
    "nccl-timeout/watchdog",
    "nccl-peer-gone/remote",
    "gloo-peer-gone/closed",
    "data-worker-killed/exited",
    "segmentation-fault/crash",
)


@pytest.mark.parametrize("consequence", CONSEQUENCES)
def test_a_cause_goes_before_what_followed_from_it(consequence):
    cause = "gpu-out-of-memory/torch"
    for lines in (
        [*lines_of(cause), *lines_of(consequence)],
        [*lines_of(consequence), *lines_of(cause)],
    ):
        assert names_in(*lines)[0] == "gpu-out-of-memory"


def test_of_two_causes_the_first_decides():
    first, second = lines_of("no-space-left/errno"), lines_of("port-in-use/errno")
    assert names_in(*first, *second)[0] == "no-space-left"
    assert names_in(*second, *first)[0] == "port-in-use"


def test_what_a_failure_says_of_itself_goes_before_its_log():
    log = lines_of("no-space-left/errno")
    assert names_in(*log, message="OSError: [Errno 98] Address already in use")[0] == "port-in-use"


def test_a_fault_long_before_the_end_is_not_read():
    rest = ["{'loss': 0.5}"] * 400
    assert names_in(*lines_of("no-space-left/errno"), *rest) == []


def test_a_remedy_names_params_that_a_study_can_set():
    params = {name for kind in KINDS.entries() for name in kind.Params.model_fields}
    named = {
        (failure.name, word)
        for failure in shipped()
        for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:`|:)", failure.remedy)
    }
    programs = {("fabric-down", "ibv_devinfo")}
    assert ("loss-not-finite", "warmup_steps") in named
    assert {pair for pair in named - programs if pair[1] not in params} == set()


def test_every_remedy_is_a_sentence_and_every_class_tells_something():
    for failure in shipped():
        assert len(failure.remedy) > 30 and failure.fault_class is not FaultClass.UNKNOWN, failure
