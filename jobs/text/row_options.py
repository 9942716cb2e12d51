"""Options of formats that read files of rows, or folders of them."""

from pydantic import Field

from jobs.text.format import Options
from jobs.text.held_out import HeldOutOptions


class RowOptions(Options):
    """What is read of a source of rows."""

    split: str | None = Field(
        None, description="of a folder that holds several splits, the one to read"
    )
    subset: str | None = Field(
        None, description="of a folder that holds several subsets, the one to read; null: all"
    )
    columns: dict[str, str] = Field(
        {}, description="column that the format reads -> what the file calls it (`a.b`: nested)"
    )


class PairRowOptions(RowOptions, HeldOutOptions):
    """The same, of a format whose rows are pairs."""
