"""An intervention that reads an extraction where it has no rows is refused when it is planned."""

import pytest

from cluster.errors import UserError
from jobs.extraction.planned_places import positions_of
from jobs.kinds.generated_pairs import GeneratedPairs
from jobs.kinds.intervene import Intervene
from jobs.kinds.probe_direction import ProbeDirection
from tests.jobs.measuring.test_few_prompts import upstream

KIND = Intervene()
SITES = {"sites": ["resid_mid"]}


def notes_of(name, against=None, prompts=None, **params):
    asked = upstream("prompts", {"format": "nursery", "positions": prompts or ["last"]})
    delta = upstream("extract", {**SITES, "positions": None}, prompts=asked)
    other = upstream("extract", {**SITES, "positions": against}, prompts=asked)
    inputs = {"delta": delta, "against": other, "lexicon": upstream("pairs", {"format": "nursery"})}
    return KIND.notes(KIND.Params(intervention=name, site="resid_mid", **params), inputs)


def test_the_positions_are_those_of_the_extraction_else_of_its_prompts():
    prompts = upstream("prompts", {"positions": ["response-depths"]})
    own = upstream("extract", {"positions": ["mean"]}, prompts=prompts)
    assert positions_of(own) == ("mean",)
    asked = upstream("extract", {"positions": None}, prompts=prompts)
    assert positions_of(asked)[:2] == ("response-0", "response-1")
    assert positions_of(upstream("extract", {})) == ("last", "response")


@pytest.mark.parametrize("name", ["add-mean-offset", "add-shared-part", "project-out-rest"])
def test_a_place_that_is_not_extracted_is_named(name):
    assert notes_of(name) == ()
    with pytest.raises(UserError, match="'delta' has no rows at position 'response-4'") as caught:
        notes_of(name, position="response-4")
    assert caught.value.where == "position" and caught.value.allowed == ["last"]
    assert notes_of(name, position="response-4", prompts=["last", "response-depths"]) == ()
    with pytest.raises(UserError, match="'delta' has no rows at site 'resid_post'"):
        KIND.notes(
            KIND.Params(intervention=name, site="resid_post"), {"delta": upstream("extract", SITES)}
        )


def test_the_subspace_must_be_extracted_there_too():
    with pytest.raises(UserError, match="'against' has no rows at position 'last'"):
        notes_of("add-shared-part", against=["response"])
    assert notes_of("add-mean-offset", against=["response"]) == ()


def test_what_reads_no_extraction_reads_it_nowhere():
    assert notes_of("set-gates", position="response-4") == ()


@pytest.mark.parametrize("kind", [ProbeDirection(), GeneratedPairs()])
def test_a_model_without_a_stream_is_refused_where_one_is_needed(kind):
    """OPT 350m: its norms stand in the stream itself."""
    sizes = {"num_layers": 2, "d_model": 16, "num_heads": 2, "vocab_size": 22}
    params = kind.Params.model_construct()
    for change, refused in (({}, False), ({"pre_norm": False}, True)):
        config = {"family": "opt", **sizes, **change}
        model = upstream("pretrain", {"config": config, "format": "nursery"})
        if not refused:
            assert kind.notes(params, {"model": model}) == ()
            continue
        with pytest.raises(UserError, match="no resid_post in it: the norms stand after") as caught:
            kind.notes(params, {"model": model})
        assert caught.value.where == "input model"
    unknown = {"source": "hf://organisation/name"}
    assert kind.notes(params, {"model": upstream("pretrained", unknown)}) == ()
