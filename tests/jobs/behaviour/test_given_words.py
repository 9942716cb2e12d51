"""A plan says which metrics will have no toxic words to count."""

import pytest

from cluster.errors import UserError
from jobs.kinds.ask import Ask
from jobs.kinds.behave import Behave
from jobs.kinds.intervene import Intervene
from jobs.kinds.predictions import Predictions
from tests.jobs.measuring.test_few_prompts import upstream

PAIRS = {"lexicon": upstream("pairs", {"format": "nursery"})}
KINDS = [
    (Behave(), {}, "toxic_mass, toxic_rate"),
    (Ask(), {"base_url": "http://127.0.0.1:1/v1", "model": "m"}, "toxic_rate"),
    (Intervene(), {"intervention": "set-gates"}, "toxic_mass, toxic_rate"),
    (Predictions(), {}, "logit_lens"),
]


@pytest.mark.parametrize(("kind", "params", "names"), KINDS)
def test_metrics_of_words_without_words_are_named(kind, params, names):
    given = {"prompts": upstream("prompts", {"format": "nursery"})}
    (note,) = kind.notes(kind.Params(**params), given)
    assert note.startswith(f"no toxic words are given for {names}, which")
    assert kind.notes(kind.Params(**params), {**given, **PAIRS}) == ()
    assert kind.notes(kind.Params(**params, toxic_words="prompts"), given) == ()


@pytest.mark.parametrize(("kind", "params", "names"), KINDS)
def test_words_of_prompts_whose_source_knows_none_are_refused(kind, params, names, tmp_path):
    (tmp_path / "texts.txt").write_text("\n\n".join(f"{n} " + 40 * "word " for n in range(9)))
    source = {"format": "text", "source": str(tmp_path / "texts.txt"), "positions": ["last"]}
    given = {"prompts": upstream("prompts", source)}
    with pytest.raises(UserError, match="knows no toxic words"):
        kind.notes(kind.Params(**params, toxic_words="prompts"), given)
    assert kind.notes(kind.Params(**params), {**given, **PAIRS}) == ()
