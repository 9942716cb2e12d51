"""The units of every family at all of its sites, on one pretended GPU and spread over two."""

import pytest
import torch

from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.unit_extractor import UnitExtractor
from jobs.extraction.unit_rows import StoredParts
from jobs.extraction.writer_thread import WriterThread
from jobs.models.device import spread
from jobs.models.family import Tap, family_of_config, names
from jobs.models.folder import read_config
from jobs.models.loading import load_model, load_tokenizer
from jobs.tokens.batches import cut_units
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
STORED = StoredParts(
    dense=frozenset({"all"}),
    rowwise=frozenset({"last"}),
    full=frozenset({"response"}),
    rows="bfloat16",
)
"""Moments of some positions, all rows of others in either type; `mean` pools, and is summed."""


def written(folder, source, few_prompts, device):
    """Extract a model and the same model moved, unit by unit; the files by name, as bytes."""
    plan, _ = build_token_plan(few_prompts, load_tokenizer(source), 64, num_rows=22)
    positions = find_positions(plan, ["last", "all", "mean", "response"], 4)
    config = read_config(source)
    sites = family_of_config(config).sites(config)
    places = [
        (site, layer) for site, tap in sites.items() if isinstance(tap, Tap) for layer in (0, 1)
    ]
    base, aligned = (load_model(source, device=device, attention="eager") for _ in range(2))
    draw = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for weight in aligned.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=draw).to(weight.device))
    with WriterThread(torch.device(base.device)) as thread:
        extractor = UnitExtractor(
            plan=plan,
            positions=positions,
            places=places,
            stored=STORED,
            folder=folder,
            thread=thread,
            device=base.device,
        )
        readers = [activation_reader(model, places) for model in (base, aligned)]
        for unit in cut_units(plan, 65536):
            extractor.run(unit, 90, *readers)
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


FEW = ("gpt2",)
"""Families of the fast tests: each takes some 8 s, thousands of small operations in Python."""
FAMILIES = [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in names()]


@pytest.mark.parametrize("family", FAMILIES)
def test_units_have_the_bytes_of_the_processor(family, saved_models, few_prompts, tmp_path):
    source = saved_models / family
    expected = written(tmp_path / "cpu", source, few_prompts, "cpu")
    assert sum(name.endswith(".safetensors") for name in expected) == 2
    with fake_gpus(2) as counts:
        assert written(tmp_path / "one", source, few_prompts, "cuda") == expected
        assert not counts.copied("between devices")
        placed = spread(source, ["cuda:0", "cuda:1"])
        assert written(tmp_path / "two", source, few_prompts, placed) == expected
        assert counts.copied("between devices")
    assert not [event for event in counts.copied("to host") if event.waits]
