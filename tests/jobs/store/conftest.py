"""A token plan and stores written by hand, so that every row is known."""

import numpy as np
import pytest

from analysis.rows.summary import GroupSummary
from jobs.artifacts.artifact import Artifact, Record
from jobs.store.activation_store import ActivationStore
from jobs.store.store_folder import StoreFolder, rebuild_index
from jobs.store.store_layout import INDEX, PLAN, UNITS, array_prefix
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import cut_units
from jobs.tokens.plan import TokenPlan

PLACES = (("resid_mid", 1), ("resid_mid", 3), ("mlp_out", 1), ("mlp_out", 3))


@pytest.fixture(scope="session")
def plan():
    """30 prompts of 2 to 8 tokens in 4 groups, with ids that are not in order."""
    draw = np.random.default_rng(7)
    lengths = draw.integers(2, 9, size=30)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = int(offsets[-1])
    return TokenPlan(
        prompts=draw.permutation(30) * 10,
        groups=np.arange(30) % 4,
        offsets=offsets,
        token_ids=np.arange(tokens, dtype=np.int32),
        roles=np.ones(tokens, dtype=np.int8),
        segments=np.zeros(tokens, dtype=np.int16),
        final_segments=np.zeros(30, dtype=np.int16),
    )


def values(tokens, place):
    """Rows that differ by token and place, every number exact in bfloat16."""
    tokens = np.asarray(tokens, dtype=np.int64)
    columns = [tokens % 16, tokens // 16, tokens * 0 + PLACES.index(place), tokens % 7, -tokens % 5]
    return np.stack([*columns, tokens % 3 + 1], axis=1).astype(np.float32)


def base_values(tokens, place):
    """Rows of the base model: not exact in bfloat16."""
    return values(tokens, place) * np.float32(1.001) + np.float32(3)


@pytest.fixture(scope="session")
def base_at():
    """A function: tokens, place -> the base's rows there."""
    return base_values


@pytest.fixture(scope="session")
def rows_at():
    """A function: tokens, place -> the rows that a store holds there."""
    return values


def blocks_of(plan, unit, dtype):
    """All rows of a unit prompt by prompt, the longest first; every third is of the reservoir."""
    import torch

    for member in sorted(unit.members, key=lambda each: -plan.lengths[each]):
        tokens = np.arange(plan.offsets[member], plan.offsets[member + 1])
        rows = {place: values(tokens, place) for place in PLACES}
        if dtype == "bfloat16":
            rows = {place: torch.from_numpy(each).bfloat16() for place, each in rows.items()}
        kept = tokens % 3 == 0
        base = {place: base_values(tokens[kept], place) for place in PLACES}
        yield RowBlock(label="all", tokens=tokens, reservoir=kept, rows=rows, base=base)


def summaries_of(plan, unit, dtype):
    tokens = np.concatenate([np.arange(*plan.offsets[each : each + 2]) for each in unit.members])
    arrays = {}
    for place in PLACES:
        rows = values(tokens, place)
        norms, prompts = np.ones(len(tokens)), plan.prompts[plan.owners[tokens]]
        summary = GroupSummary.from_rows(rows, norms, prompts, moments=dtype == "bfloat16")
        arrays |= summary.to_arrays(array_prefix(place, "all"))
    return arrays


@pytest.fixture
def write_store(plan):
    """A function: folder -> a store below it; its rows are `rows_at(tokens, place)`."""

    def write(folder, *, dtype="float32", shard_bytes=2**20, unit_tokens=20):
        import json

        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        for unit in cut_units(plan, unit_tokens):
            writer = UnitWriter(folder / UNITS, unit, plan.hash, shard_bytes=shard_bytes)
            for block in blocks_of(plan, unit, dtype):
                writer.add(block)
            facts = {"rows": {"all": unit.num_tokens}}
            writer.finish(summaries_of(plan, unit, dtype), facts)
        save_file(plan.to_arrays(), folder / PLAN)
        known = {"missing": {"mlp_act": "it has none"}}
        known["rowwise"] = [] if dtype == "bfloat16" else ["all"]
        index = rebuild_index(StoreFolder(folder)) | known
        (folder / INDEX).write_text(json.dumps(index))
        return folder

    return write


@pytest.fixture
def open_store(write_store, tmp_path):
    """A function: how to write -> the store, read from its folder."""
    return lambda **how: ActivationStore(StoreFolder(write_store(tmp_path / "store", **how)))


@pytest.fixture
def published(write_store, tmp_path):
    """The store as the artifact of a job."""
    from cluster.storage import Storage

    storage = Storage(tmp_path / "root")
    artifact = Artifact(storage, "extract", "e" * 64)
    from jobs.worker.attempt_folder import AttemptFolder

    attempt = AttemptFolder(artifact, "one")
    write_store(attempt.path)
    record = Record(key=artifact.key, kind="extract", attempt="one", files=attempt.seal())
    assert storage.create(artifact.record_name, record.to_json())
    return artifact
