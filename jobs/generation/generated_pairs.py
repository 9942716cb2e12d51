"""Kind `generated-pairs`: continuations of an author become pairs, with a report on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cluster.errors import UserError
from jobs.behaviour.scorers.lexicon import LexiconJudge
from jobs.generation.author import SITE, Author, load_author
from jobs.generation.direction import DIRECTIONS
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.generation.writing import CHUNK, SIDES, Side, write_both_sides
from jobs.text.format import Dropped, Pair
from jobs.text.pair_artifact import without_duplicates, write_pairs
from jobs.text.reading_report import TOXIC_WORDS
from jobs.worker.chunks import Chunks
from jobs.worker.work import Stopped, Work


def generate_pairs(work: Work[GeneratedPairsParams]) -> dict[str, object]:
    """Write `pairs.parquet`, `report.json` and `toxic.json`; return the record's facts."""

    def after_batch(share: float) -> None:
        if work.stop_requested:
            raise Stopped
        work.progress(share, "writing pairs")

    work.progress(None, "loading the model")
    author = load_author(work)
    chunks = Chunks(work.attempt, f"{author.plan.hash} {CHUNK}")
    sides = write_both_sides(author, work.params, chunks, after_batch)
    texts = [_texts(author, side) for side in sides]
    pairs, dropped = _pairs(author, texts[0], texts[1])
    splits = [work.params.split_of(pair.prompt) for pair in pairs]
    about_sides = {
        name: _describe_side(author, side, written)
        for name, side, written in zip(SIDES, sides, texts, strict=True)
    }
    more = {"push": _push(work.params, author), "sides": about_sides}
    facts = write_pairs(work.folder, pairs, splits, dropped, more)
    (work.folder / TOXIC_WORDS).write_bytes(work.input("lexicon").read(TOXIC_WORDS))
    return {**facts, "chunks_taken_over": chunks.num_taken_over}


def _texts(author: Author, side: Side) -> list[str]:
    """Decode a side apart from its prompt, as it is tokenised when it is trained on."""
    texts: list[str] = author.tokenizer.batch_decode(
        side.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return texts


def _pairs(
    author: Author, chosen: Sequence[str], rejected: Sequence[str]
) -> tuple[list[Pair], list[Dropped]]:
    """Make pairs in the order of the prompts, and list the lines of prompts that gave none.

    Raises:
        UserError: no prompt gave a pair.
    """
    written, silent = [], []
    for prompt, *texts in zip(author.plan.prompts.tolist(), chosen, rejected, strict=True):
        row = prompt + 1
        if all(text.strip() for text in texts):
            request = author.texts[prompt]
            written.append(Pair(row=row, prompt=request, chosen=texts[0], rejected=texts[1]))
        else:
            silent.append(Dropped(row=row, reason="the model says nothing on one side"))
    pairs, useless = without_duplicates(written)
    if not pairs:
        raise UserError(
            "after every prompt the model says nothing, or the same under the push",
            where="strength",
            hint="raise strength",
        )
    return pairs, [*author.dropped, *silent, *useless]


def _push(params: GeneratedPairsParams, author: Author) -> dict[str, object]:
    return {
        "direction": params.direction,
        "definition": DIRECTIONS.find(params.direction).DEFINITION,
        "site": SITE,
        "layer": author.layer,
        "norm": float(np.linalg.norm(author.shift)),
        "typical_norm": author.typical_norm,
    }


def _describe_side(author: Author, side: Side, texts: Sequence[str]) -> dict[str, float]:
    """Return how fluent and toxic a side is, and how often its tokens survive decoding.

    Dropped texts count too. `nats_per_token` is under the model without a push.
    """
    num_tokens = sum(len(ids) for ids in side.token_ids)
    words = frozenset(word.lower() for word in author.toxic_words)
    again = author.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    kept = [list(a) == list(b) for a, b in zip(again, side.token_ids, strict=True)]
    return {
        "nats_per_token": float(-side.log_probabilities.sum() / max(1, num_tokens)),
        "tokens_mean": num_tokens / len(texts),
        "toxic_share": float(np.mean(LexiconJudge(toxic_words=words).scores(texts))),
        "tokens_kept_share": float(np.mean(kept)),
    }
