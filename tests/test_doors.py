"""Every door: its entries load and fulfil the contract; a wrong one is seen by `make check`."""

import subprocess
import sys
from typing import Protocol

import pytest

from tests.doors import FOLDERS, ROOT, Declared, assignments, check, declared_doors
from tests.test_house import _door_folders

DOORS = declared_doors()


def test_every_folder_of_entries_has_a_door() -> None:
    folders = {door.door.package.replace(".", "/") for door in DOORS}
    without = {folder for folder in _door_folders() if folder not in folders}
    # Executors are started with options of their own; `cluster` does not import `analysis.door`.
    assert without <= {"cluster/executors", "cluster/chaos/faults"}


@pytest.mark.parametrize("declared", DOORS, ids=lambda declared: declared.name)
def test_every_entry_loads_and_fulfils_the_contract(declared: Declared) -> None:
    door = declared.door
    contract = vars(sys.modules[declared.module])[declared.contract.partition("[")[0]]
    assert door.contract is contract
    assert door.names()
    for name in door.names():
        entry = door.find(name)
        assert Protocol in contract.__bases__ or isinstance(entry, contract)


@pytest.mark.slow
def test_an_entry_with_a_wrong_signature_fails_the_check() -> None:
    assert check(assignments(DOORS)).returncode == 0
    (directions,) = (door for door in DOORS if door.name == "DIRECTIONS")
    wrong = assignments([directions]).replace(
        "= jobs.generation.directions.toxic_words", "= jobs.generation.direction"
    )
    assert "Incompatible types in assignment" in check(wrong).stdout


def test_every_statement_that_declares_a_door_is_found() -> None:
    found = subprocess.run(
        ["git", "grep", "-cE", r"^[A-Z_]+: Door\[", "--", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    counts = [int(line.rpartition(":")[2]) for line in found.stdout.splitlines()]
    assert sum(counts) == len(DOORS)
