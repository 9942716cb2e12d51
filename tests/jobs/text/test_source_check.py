from pathlib import Path

import pytest

from cluster.errors import UserError
from jobs.text.source_check import local_path


@pytest.mark.parametrize("source", ["/proc/self/environ", "/dev/fd/0", "/sys/kernel", "link"])
def test_what_only_looks_like_a_file_is_no_data(source, tmp_path):
    (tmp_path / "link").symlink_to("/proc/self/environ")
    with pytest.raises(UserError, match="holds no data"):
        local_path(str(tmp_path / source))


def test_files_and_a_disk_in_memory_are_read(tmp_path):
    for source in (str(tmp_path / "pairs.jsonl"), "/dev/shm/pairs.jsonl", "procedures/a.jsonl"):
        assert local_path(source) == Path(source)
