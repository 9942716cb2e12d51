"""Partitions and their nodes, as sinfo writes them; GPUs after its documentation."""

import math

import pytest

from cluster.errors import SurroundingsError
from cluster.slurm.partitions import partitions_of_site

_SINFO = """\
main*|infinite|2|2|6000|(null)
short|10:00|2|2|6000|(null)
gpu|2-00:30:00|3|64|515000|gpu:a100:4(S:0-1),gpu:v100:2
old|1:30:00|1|32+|64000+|gpu:8
a line that nobody expects
"""


def test_nodes_have_limits_memory_and_gpus(answering) -> None:
    asked = answering("sinfo", _SINFO)
    main, short, gpu, old = partitions_of_site()
    assert (main.partition, main.is_default, main.most_s) == ("main", True, math.inf)
    assert (short.is_default, short.most_s, short.gpus) == (False, 600.0, 0)
    assert (gpu.most_s, gpu.count, gpu.gpus) == (2 * 86400 + 1800, 3, 6)
    assert gpu.memory_gb == pytest.approx(540.0, abs=0.1)
    assert (old.most_s, old.cpus, old.gpus) == (5400.0, 32, 8)
    assert "--exact" in asked.read_text()


@pytest.mark.parametrize("code", [0, 1])
def test_a_controller_that_does_not_answer_is_said(answering, code) -> None:
    words = "slurm_load_partitions: Unable to contact slurm controller (connect failure)"
    answering("sinfo", errors=words, code=code)
    with pytest.raises(SurroundingsError, match="does not answer"):
        partitions_of_site()
