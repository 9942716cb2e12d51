"""Test of figure `my_entry`: a drawing where there is something to draw, and none else."""

from pathlib import Path

from analysis.drawing.figure import FIGURES, Material, to_bytes
from analysis.long_table.query import LongTable
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def _material(*rows: dict[str, object]) -> Material:
    return Material(measured=LongTable.of(rows))


def test_measured_norms_are_drawn() -> None:
    row: dict[str, object] = {
        "model": "a",
        "family": "gpt2",
        "num_parameters": 10,
        "metric": "offset_norm",
        "value": 1.0,
        "status": "ok",
    }
    with ENTRIES.bringing():
        (drawing,) = FIGURES.find("my_entry").drawings(_material(row))
    assert to_bytes(drawing.canvas, "png").startswith(b"\x89PNG")


def test_nothing_is_drawn_of_nothing() -> None:
    with ENTRIES.bringing():
        assert list(FIGURES.find("my_entry").drawings(_material())) == []
