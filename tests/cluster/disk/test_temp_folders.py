"""Folders of ours in the temp folder: private, held while in use, swept once nobody holds them."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from cluster.disk import temp_folders
from cluster.disk.temp_folders import (
    TempFolder,
    lasting_folder,
    own_temp_folder,
    private_base,
    sweep,
)
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    """A temp folder of the test's own, for this process and its children."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    # A job that ran in this process before has left it a folder.
    monkeypatch.setattr(temp_folders, "_of_process", cache(lambda pid: TempFolder("process")))
    return tmp_path / "temp"


def mode(path):
    return path.lstat().st_mode & 0o777


@pytest.fixture
def holder():
    """Another process with a folder in use; a function that kills it."""
    code = (
        "from cluster.disk.temp_folders import TempFolder; folder = TempFolder('attempt');"
        "(folder.path / 'model').write_text('large'); print(folder.path, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    path = Path(process.stdout.readline().strip())

    def kill():
        process.kill()
        process.wait()

    yield path, kill
    kill()


def test_all_are_private_and_can_be_recognised(temp):
    with TempFolder("attempt") as path:
        assert path.parent == private_base() == temp / f"deltascale-{os.geteuid()}"
        assert path.name.startswith("attempt-")
        assert mode(path) == mode(path.parent) == mode(lasting_folder("copies")) == 0o700
        (path / "file").write_text("x")
    assert [entry.name for entry in private_base().iterdir()] == ["copies"]


def plant_link(place, elsewhere):
    place.symlink_to(elsewhere)


def plant_file(place, elsewhere):
    place.write_text("theirs")


def plant_open_folder(place, elsewhere):
    place.mkdir()
    place.chmod(0o777)


def plant_folder_of_another(place, elsewhere):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    place.mkdir()
    os.chown(place, 12345, 12345)


@pytest.mark.parametrize(
    "plant", [plant_link, plant_file, plant_open_folder, plant_folder_of_another]
)
def test_what_somebody_else_put_there_first_is_not_used(temp, tmp_path, plant):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = temp / f"deltascale-{os.geteuid()}"
    plant(place, elsewhere)
    before = place.lstat()
    with TempFolder("attempt") as path:
        assert path.parent.name == f"deltascale-{os.geteuid()}-1"
        assert mode(path.parent) == 0o700
    after = place.lstat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert list(elsewhere.iterdir()) == []


def test_where_every_name_is_taken_the_way_on_is_told(temp, tmp_path):
    for number in range(10):
        suffix = f"-{number}" if number else ""
        (temp / f"deltascale-{os.geteuid()}{suffix}").symlink_to(tmp_path)
    with pytest.raises(SurroundingsError, match="no private folder can be made") as fault:
        TempFolder("attempt")
    assert "TMPDIR" in fault.value.hint


def test_a_folder_that_others_could_only_read_is_closed_to_them(temp):
    (temp / f"deltascale-{os.geteuid()}").mkdir(mode=0o755)
    assert mode(private_base()) == 0o700


def test_what_is_in_use_stays_and_what_a_killed_process_left_goes(holder):
    path, kill = holder
    mine = TempFolder("attempt")
    sweep()
    assert (path / "model").exists() and mine.path.exists()
    kill()
    sweep()
    assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir() if path.name in entry.name] == []
    assert mine.path.exists()
    mine.remove()


def test_a_sweep_follows_no_link_and_takes_only_what_has_a_lock(tmp_path):
    base = private_base()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "kept").mkdir(parents=True)
    (elsewhere / "lock").write_text("")
    (base / "attempt-1").symlink_to(elsewhere)
    (base / "attempt-1.lock").write_text("")
    (base / "attempt-2").mkdir()
    (base / "attempt-2.lock").symlink_to(elsewhere / "lock")
    (base / "copies").mkdir()
    sweep()
    assert (elsewhere / "kept").exists()
    assert (base / "attempt-2").exists() and (base / "copies").exists()


def test_folders_made_while_others_sweep_are_never_swept(temp):
    def make(_):
        with TempFolder("attempt") as path:
            sweep()
            (path / "file").write_text("x")
            return (path / "file").exists()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(make, range(200)))
    assert list(temp.iterdir()) == []


def test_a_fork_that_ends_takes_nothing_along():
    folder = TempFolder("attempt")
    child = os.fork()
    if child == 0:
        folder.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert folder.path.exists()
    sweep()
    assert folder.path.exists()
    folder.remove()


def test_a_folder_goes_with_its_object():
    folder = TempFolder("attempt")
    path = folder.path
    del folder
    assert not path.exists()


def test_libraries_make_their_files_in_a_folder_of_the_process(temp):
    with own_temp_folder():
        library = tempfile.TemporaryDirectory("wandb-media")
        inner = subprocess.run(
            [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        with TempFolder("attempt") as path:
            assert path.parent == temp / f"deltascale-{os.geteuid()}"
    assert Path(library.name).parent == Path(inner)
    assert Path(inner).parent == private_base()
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(temp)
    with own_temp_folder():
        assert tempfile.gettempdir() == inner
    library.cleanup()
    os.rmdir(inner)  # as what cleans temp folders does after days
    with own_temp_folder(), tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == Path(inner)


def test_a_temp_folder_that_was_cleaned_away_is_made_again(temp):
    with own_temp_folder():
        pass
    before = os.umask(0)
    try:
        shutil.rmtree(temp)
        with own_temp_folder():
            assert private_base() == temp / f"deltascale-{os.geteuid()}"
            (Path(tempfile.gettempdir()) / "file").write_text("x")
            shutil.rmtree(temp)
            with TempFolder("attempt") as path:
                assert path.parent == temp / f"deltascale-{os.geteuid()}"
        assert mode(temp) == mode(private_base()) == 0o700
    finally:
        os.umask(before)


def test_a_temp_folder_that_cannot_be_made_again_is_a_storage_that_is_away(temp, monkeypatch):
    temp.joinpath("disk").write_text("nothing is mounted here")
    monkeypatch.setattr(tempfile, "tempdir", str(temp / "disk" / "mine"))
    with pytest.raises(SurroundingsError) as refused:
        TempFolder("attempt")
    assert refused.value.fault_class is FaultClass.STORAGE_AWAY


def test_what_libraries_left_of_a_killed_process_goes(temp):
    code = (
        "import os, signal, tempfile\n"
        "from cluster.disk.temp_folders import own_temp_folder\n"
        "with own_temp_folder():\n"
        "    tempfile.mkdtemp('wandb-artifacts')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert list(private_base().rglob("*wandb-artifacts"))
    sweep()
    assert list(private_base().iterdir()) == []
    assert [entry.name for entry in temp.iterdir()] == [private_base().name]


def test_a_full_temp_folder_is_one_sentence(monkeypatch):
    private_base()

    def refuse(*args, **options):
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        SurroundingsError, match="the temp folder takes no folder of ours: No space"
    ):
        TempFolder("attempt")
