"""Test of engine `my-entry`: what it asks of the Trainer."""

from pathlib import Path

from jobs.entries.own_entries import read_entries
from jobs.training.align_params import Params
from jobs.training.engine import ENGINES

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_the_trainer_is_asked_for_larger_buckets() -> None:
    with ENTRIES.bringing():
        params = Params(engine="my-entry")
        arguments = ENGINES.find("my-entry").arguments(params.layout(), params.recipe(1))
    assert arguments["ddp_bucket_cap_mb"] == 100
