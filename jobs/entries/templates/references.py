"""My paper (2020): the numbers of its table 1.

The contract is analysis/tables/reference.py. A comparison shows it where its `references` name it;
published numbers enter no fit.
"""

from analysis.tables.reference import Published

CITATION = "My paper 2020"
NUMBERS = (
    Published(
        model="gpt2-medium",
        family="gpt2",
        num_parameters=354_823_168,
        metrics=("toxic_rate",),
        value=0.25,
        cell={"objective": "dpo"},
        note="published, another scorer: say how it was measured otherwise than ours",
    ),
)
