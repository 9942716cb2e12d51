import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "orchestrator.cli"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
@pytest.mark.parametrize("words", [["schema"], ["schema", "--of", "table"]])
def test_what_cannot_be_printed_is_one_message_and_no_success(words):
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, check=False)
    told = ended.stderr.decode()
    assert ended.returncode == 3
    assert told.startswith("deltascale: cannot write: No space left on device\n")
    assert len(told.splitlines()) == 2
