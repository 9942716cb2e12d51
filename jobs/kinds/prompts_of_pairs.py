"""Kind `prompts-of-pairs`: the prompts of pairs that a job left, with an answer of the pair.

Pairs that a model writes are in no source that `prompts` could read. Only those count that no model
was trained on: the validation and test split. As everything that is measured along an answer which
the study chose, what is measured on them answers no question about the study's own prompts.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from cluster.errors import UserError
from jobs.kind import Kind, Names, Params
from jobs.kinds._shared_inputs import PAIRS
from jobs.provenance import Data
from jobs.rehearsal import FEW, StandIns, sampled
from jobs.text.dialogue import spoken
from jobs.text.pair_artifact import PAIRS as FILE
from jobs.text.pair_artifact import turns_in
from jobs.text.prompt_artifact import sampled_prompts, write_prompts
from jobs.text.reading import Dropped, Prompt, Segment, Side
from jobs.text.reading_report import TOXIC_WORDS, write_report
from jobs.text.split import Split
from jobs.text.transform import TRANSFORMS, load_transform
from jobs.tokens.position_policy import Policy
from jobs.worker.work import Work


class PromptsOfPairsParams(Params):
    """Whose answer stands behind the prompts, which are taken, and what is done to them."""

    answer: Side = Field(
        description="Whose answer stands behind a prompt: the `chosen` or the `rejected` one, "
        "which `prefill` begins a reply with."
    )
    transform: Annotated[str, Names(TRANSFORMS, joined_by="+")] = Field(
        "plain",
        description="A file of `jobs/text/transforms/`, or several joined by `+`, left first.",
    )
    positions: tuple[Policy, ...] = Field(
        ("last", "response"), min_length=1, description="Which tokens give rows."
    )
    max_prompts: int | None = Field(
        None, ge=1, description="Most prompts: those of the smallest seeded hashes."
    )
    seed: int = Field(0, description="Decides the sample and random transforms.")


class PromptsOfPairs(Kind[PromptsOfPairsParams]):
    """Takes prompts out of pairs."""

    VERSION = 2
    INPUTS = {"pairs": PAIRS}
    Params = PromptsOfPairsParams
    LEAVES = Data(origin=None)
    USES_TORCH = False

    def pins(self, params: PromptsOfPairsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Check transform and positions; nothing outside is read."""
        load_transform(params.transform)
        if "turn" in params.positions:
            raise UserError(
                "position 'turn' needs dialogues, and pairs need not have any turns",
                where="positions",
                hint="leave it out of `positions`",
            )
        return {}

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Take a few prompts."""
        return {**super().in_small(written, stand_ins), **sampled(written, max_prompts=FEW)}

    def run(self, work: Work[PromptsOfPairsParams]) -> dict[str, object]:
        """Write prompts.jsonl, shuffled.jsonl, report.json, and toxic.json as the pairs have it."""
        import pyarrow.parquet as parquet

        params, pairs = work.params, work.input("pairs")
        rows = parquet.read_table(pairs.path(FILE)).to_pylist()
        usable, dropped = _usable(rows, params.answer)
        if not usable:
            raise UserError(
                f"all of the {len(rows)} pairs are to train on, so that none is left to measure",
                where=pairs.folder,
                hint="raise validation_fraction or test_fraction of the pairs",
            )
        prompts = sampled_prompts(usable, params.max_prompts, params.seed)
        write_prompts(work.folder, prompts, params.transform, params.seed)
        counts: dict[str, object] = {
            "num_prompts": len(prompts),
            "num_dropped": len(dropped),
            "num_not_sampled": len(usable) - len(prompts),
        }
        write_report(work.folder, dropped, counts)
        if TOXIC_WORDS in pairs.record.files:
            (work.folder / TOXIC_WORDS).write_bytes(pairs.read(TOXIC_WORDS))
        return {
            **counts,
            "transform": params.transform,
            "positions": list(params.positions),
            "answer": params.answer,
        }


def _usable(rows: list[dict[str, Any]], side: Side) -> tuple[list[Prompt], list[Dropped]]:
    """Return the prompt of each pair that is not trained on, met for the first time; the others."""
    kept: dict[str, Prompt] = {}
    dropped = []
    for row in rows:
        number, asked = int(row["pair"]) + 1, row["prompt"]
        if row["split"] == Split.TRAIN.value:
            dropped.append(Dropped(row=number, reason="to train on"))
        elif asked in kept:
            dropped.append(Dropped(row=number, reason="its prompt stands there twice"))
        else:
            kept[asked] = Prompt(row=number, source=asked, segments=_segments(row, side))
    return list(kept.values()), dropped


def _segments(row: Mapping[str, Any], side: Side) -> tuple[Segment, ...]:
    if turns := turns_in(row):
        return (*turns, spoken("assistant", row[side]))
    parts = (("prompt", row["prompt"]), ("response", row[side]))
    return tuple(Segment(role=role, text=text) for role, text in parts)
