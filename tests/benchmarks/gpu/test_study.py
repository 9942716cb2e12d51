"""The studies that the GPU check launches: planned for a GPU, and run here on the processor."""

import json

import pytest

from benchmarks.gpu.parts.ray_gangs import GANG
from benchmarks.gpu.parts.study import launch, small_study
from orchestrator.cli import main

GANG_STUDY = {"study": "gang", "stages": {"pair": {"kind": "probe", "params": GANG}}}


def _values(answer, name):
    """List the numbers under a name, anywhere in an answer."""
    if isinstance(answer, list):
        return [value for each in answer for value in _values(each, name)]
    if not isinstance(answer, dict):
        return []
    own = [answer[name]] if isinstance(answer.get(name), int | float) else []
    return [*own, *(value for each in answer.values() for value in _values(each, name))]


@pytest.mark.parametrize(
    ("study", "machines", "num_gpus"),
    [(small_study(1), "1x1xH100-80GB", 1), (GANG_STUDY, "1x2xH100-80GB", 2)],
    ids=["study", "gang"],
)
def test_a_study_of_the_check_fits_the_machine_it_is_for(
    tmp_path, capsys, study, machines, num_gpus
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(study))
    words = ["plan", str(path), "--root", str(tmp_path / "root"), "--machines", machines, "--json"]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    (count,) = _values(answer, "will-not-fit")
    assert count == 0
    assert num_gpus == max(_values(answer, "num_gpus"))


@pytest.mark.slow
def test_the_study_comes_to_its_end_and_its_table_has_the_number(tmp_path) -> None:
    fault, norm = launch(tmp_path, small_study(0))
    assert not fault
    assert norm > 0
