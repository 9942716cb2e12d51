"""An entry written from the table of a how-to loads and works; one that lacks a name is refused."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import numpy as np
import pytest

from analysis import door
from analysis.door import Door
from analysis.metric import METRICS, Metric
from analysis.rows.summary import GroupSummary, Reservoir, Sample
from analysis.tables import layout
from jobs.kinds.measure import MeasureParams
from jobs.models.family import FAMILIES, SITES, Family
from jobs.text.format import FORMATS, Format, read
from jobs.training.objective import OBJECTIVES, Objective, ScoredPairs

_HOWTO = Path(__file__).parents[2] / "docs/howto"

METRIC = """
from analysis.estimates.evaluation import Measured
from analysis.estimates.intervals import Estimate
from analysis.metric import Metric


class MyMetric(Metric):
    DEFINITION = "v1: number of rows"
    REPORTS = ("my_metric",)
    AXIS_LABEL = "rows"
    IS_SPECTRAL = False
    NEEDS_AGAINST = False
    NEEDS_TOXIC = False
    HEADLINES = {"my_metric": 150}
    RANGES = {"my_metric": (0.0, None)}

    def prepare(self, sample, against, centred):
        number = sum(group.num_rows for group in sample.groups.values())
        estimate = Estimate(value=float(number))
        return [lambda: Measured(estimate=estimate, num_rows=number, groups=None)]
"""
FORMAT = """
from analysis.long_table.circumstances import Origin
from jobs.text.format import Format, NoOptions
from jobs.text.reading import Labelled, Pair, Prompt, Reading, Segment


class MyFormat(Format[NoOptions]):
    ORIGIN = Origin.COLLECTED
    VERSION = 2
    Options = NoOptions

    def read_texts(self, source, options):
        return Reading(items=["a text"])

    def read_pairs(self, source, options):
        return Reading(items=[Pair(row=1, prompt="a", chosen="b", rejected="c")])

    def read_prompts(self, source, options):
        text = Segment(role="prompt", text="a")
        return Reading(items=[Prompt(row=1, source="a", segments=(text,))])

    def read_labelled(self, source, options):
        return Reading(items=[Labelled(row=1, text="a", toxic=False)])

    def train_tokenizer(self, documents, vocab_size):
        return None
"""
FAMILY = """
from jobs.models.family import Family, Mlp, Saved
from jobs.models.shape import ConfigField, four_widths


class MyFamily(Family):
    FIELDS = {
        "num_layers": ConfigField(name="n_layer", default=12, also="num_hidden_layers"),
        "d_model": ConfigField(name="n_embd", default=768, also="hidden_size"),
        "num_heads": ConfigField(name="n_head", default=12, also="num_attention_heads"),
        "d_mlp": ConfigField(name="n_inner", from_width=four_widths),
        "vocab_size": ConfigField(name="vocab_size", default=50257),
        "max_positions": ConfigField(name="n_positions", default=64),
        "tie": ConfigField(name="tie_word_embeddings", default=True),
    }
    BLOCKS = "transformer.h"
    FINAL_NORM = "transformer.ln_f"
    EMBEDDING = "transformer.wte"
    NORMS = ("ln_1", "ln_2")
    ADDED = ("attn", "mlp")
    MLP = Mlp(up="mlp.c_fc", down="mlp.c_proj", inputs_first=True)
    SAVED = {"float32": Saved(stream=32, neurons=20, scores=4)}
    HF_CONFIG = "GPT2Config"
    PROJECTION = None
    LACKS_KERNELS = ("sdpa",)

    def sites(self, config):
        return super().sites(config)

    def num_parameters(self, config):
        return 2, 1

    def hf_extras(self, shape):
        return {"resid_pdrop": 0.0}
"""
PREFERENCE = """
from jobs.training.preference import PreferenceObjective


class MyLoss(PreferenceObjective):
    LOSS = "sigmoid"

    def validation_losses(self, chosen, rejected, settings):
        return settings["beta"] * (chosen - rejected)
"""
OBJECTIVE = """
from jobs.training.objective import BETA, Objective


class MyLoss(Objective):
    USES_REFERENCE = True
    SETTINGS = {"beta": BETA}
    SEQUENCES_PER_ROW = 2
    WHOLE_BATCH = False
    TRAINS = True

    def make_trainer(self, lesson):
        raise AssertionError("nothing is trained here")

    def validation_loss(self, policy, reference, settings):
        return float((policy.chosen - reference.chosen).mean() * settings["beta"])
"""

Add = Callable[[Door, str, str], None]


@pytest.fixture
def add(tmp_path: Path) -> Iterator[Add]:
    """Add a file to the folder of a door, as a contributor would, for the time of a test."""
    packages, modules = [], []

    def forget() -> None:
        invalidate_caches()
        for cached in (door._names, door._load, layout._entries):
            cached.cache_clear()

    def write(to: Door, stem: str, text: str) -> None:
        (tmp_path / f"{stem}.py").write_text(text, encoding="utf-8")
        modules.append(f"{to.package}.{stem}")
        packages.append(import_module(to.package))
        packages[-1].__path__.append(str(tmp_path))
        forget()

    yield write
    for package in packages:
        package.__path__.remove(str(tmp_path))
    for module in modules:
        sys.modules.pop(module, None)
    forget()


@pytest.mark.parametrize(
    ("page", "contract", "entry"),
    [
        ("adding-a-metric.md", Metric, METRIC),
        ("adding-a-format.md", Format, FORMAT),
        ("adding-a-family.md", Family, FAMILY),
        ("adding-an-objective.md", Objective, OBJECTIVE),
    ],
)
def test_the_table_of_a_how_to_names_what_an_entry_defines(page, contract, entry) -> None:
    text = (_HOWTO / page).read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| name \| what.*?\n\|---\|---\|\n(.*?)\n\n", text, re.M | re.S)
    names = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)", row.split("|")[1])
    }
    assert names <= {*dir(contract), *contract.__annotations__}
    assert _defined(entry) == names


def _defined(entry: str) -> set[str]:
    body = ast.parse(entry).body
    body = next((node.body for node in body if isinstance(node, ast.ClassDef)), body)
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    assigned = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
    return functions | {ast.unparse(target) for target in assigned}


def test_a_metric_of_the_how_to_measures_and_heads_a_table(add: Add) -> None:
    add(METRICS, "my_metric", METRIC)
    (measured,) = METRICS.find("my_metric").measure(_sample(), None)
    assert measured.value == 40.0
    assert layout.headline_places()["my_metric"] == 150
    assert "my_metric" in MeasureParams(metrics="all").metrics


def _sample() -> Sample:
    rows, prompts = np.ones((40, 3)), np.arange(40)
    groups = {
        number: GroupSummary.from_rows(rows[at], np.ones(2), prompts[at], True)
        for number in range(20)
        for at in [prompts % 20 == number]
    }
    kept = Reservoir(rows=rows.astype(np.float32), prompts=prompts, groups=prompts % 20, base=None)
    return Sample(groups=groups, reservoir=kept)


def test_a_format_of_the_how_to_is_read(add: Add) -> None:
    add(FORMATS, "my_format", FORMAT)
    for role in ("texts", "pairs", "prompts"):
        assert len(read(role, "my-format", None, {}).items) == 1


def test_a_family_of_the_how_to_describes_a_model(add: Add) -> None:
    add(FAMILIES, "my_family", FAMILY)
    family = FAMILIES.find("my_family")
    fields = {
        "family": "my_family",
        "num_layers": 2,
        "d_model": 16,
        "num_heads": 2,
        "vocab_size": 50,
    }
    assert family.hf_config(fields).n_embd == 16
    assert set(family.sites(fields)) == set(SITES)


@pytest.mark.parametrize("text", [PREFERENCE, OBJECTIVE])
def test_an_objective_of_the_how_to_has_a_loss(add: Add, text: str) -> None:
    add(OBJECTIVES, "my_loss", text)
    objective = OBJECTIVES.find("my-loss")
    policy, reference = (
        ScoredPairs(pairs=[], chosen=np.array([level]), rejected=np.array([0.0]))
        for level in (3.0, 1.0)
    )
    settings = objective.settings_from({"beta": None})
    assert objective.validation_loss(policy, reference, settings) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("to", "stem", "text", "name", "contract"),
    [
        (METRICS, "my_metric", METRIC, "AXIS_LABEL", "analysis/metric.py"),
        (METRICS, "my_metric", METRIC, "prepare", "analysis/metric.py"),
        (FORMATS, "my_format", FORMAT, "ORIGIN", "jobs/text/format.py"),
        (FAMILIES, "my_family", FAMILY, "BLOCKS", "jobs/models/family.py"),
        (FAMILIES, "my_family", FAMILY, "num_parameters", "jobs/models/family.py"),
        (OBJECTIVES, "my_loss", PREFERENCE, "LOSS", "jobs/training/objective.py"),
        (OBJECTIVES, "my_loss", OBJECTIVE, "validation_loss", "jobs/training/objective.py"),
    ],
)
def test_an_entry_that_lacks_a_name_is_refused(add: Add, to, stem, text, name, contract) -> None:
    add(to, stem, re.sub(rf"\b{name}\b(?= = |\()", "another", text))
    with pytest.raises(TypeError, match=f"/{stem}.py lacks {name}: see {contract}"):
        to.find(stem)
