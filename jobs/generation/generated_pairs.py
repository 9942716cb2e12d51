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
from jobs.text.pair_artifact import without_duplicates, write_pairs
from jobs.text.reading import Dropped, Pair
from jobs.text.reading_report import TOXIC_WORDS
from jobs.tokens.continued_texts import texts_behind
from jobs.tokens.joining import bare_tokenizer, join_segments
from jobs.tokens.plan import ROLES
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
    prompts = _prompt_ids(author)
    texts = [texts_behind(author.tokenizer, prompts, side.token_ids) for side in sides]
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


def _prompt_ids(author: Author) -> list[list[int]]:
    plan = author.plan
    return [ids.tolist() for ids in np.split(plan.token_ids, plan.offsets[1:-1])]


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
            written.append(
                Pair(
                    row=row,
                    prompt=author.texts[prompt],
                    chosen=texts[0],
                    rejected=texts[1],
                    turns=author.turns[prompt],
                )
            )
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
    return {
        "nats_per_token": float(-side.log_probabilities.sum() / max(1, num_tokens)),
        "tokens_mean": num_tokens / len(texts),
        "toxic_share": float(np.mean(LexiconJudge(toxic_words=words).scores(texts))),
        "tokens_kept_share": _share_kept(author, side, texts),
    }


def _share_kept(author: Author, side: Side, texts: Sequence[str]) -> float:
    """Return the share of texts that have the very tokens again behind their prompt."""
    requests = [author.texts[prompt] for prompt in author.plan.prompts.tolist()]
    again = join_segments(list(zip(requests, texts, strict=True)), bare_tokenizer(author.tokenizer))
    is_bos = author.plan.roles == ROLES.index("bos")
    kept = [
        each.ids == [*np.array(prompt)[~bos].tolist(), *ids]
        for each, prompt, bos, ids in zip(
            again,
            _prompt_ids(author),
            np.split(is_bos, author.plan.offsets[1:-1]),
            side.token_ids,
            strict=True,
        )
    ]
    return float(np.mean(kept))
