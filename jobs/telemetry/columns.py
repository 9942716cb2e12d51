"""The columns of both tables of telemetry: name, type of Arrow, and what it holds.

A later version may add columns at the end; names and types stay. What is not known is null.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
"""Column -> value; a column that is left out is null."""

WHERE = (
    ("launch", "string", "id of the launch"),
    ("attempt", "string", "id of the attempt"),
    ("key", "string", "key of the job"),
    ("stage", "string", "stage of the study"),
    ("kind", "string", "kind of the job"),
    ("cell", "string", "where in the grid the job stands, `axis=value,…`"),
    ("node", "string", "machine that it ran on"),
)
"""Which attempt a line is about: the first columns of both tables."""

SAMPLES = (
    ("at", "timestamp[ms, tz=UTC]", "when the sample was taken, by the launch's clock"),
    *WHERE,
    ("rank", "int32", "number of the rank, from 0"),
    ("phase", "string", "what it was doing: `loading`, `stepping`, …"),
    ("step", "int64", "steps that are done"),
    ("steps", "int64", "steps that there are in all"),
    ("unit", "string", "what a step is: `step`, `part`, …"),
    ("steps_per_s", "float64", "steps a second, lately"),
    ("tokens_per_s", "float64", "tokens a second since the sample before"),
    ("idle_s", "float64", "seconds since the last step ended or the phase began"),
    ("memory_gb", "float64", "host memory of the process, in 10⁹ bytes"),
    ("gpu_memory_gb", "float64", "memory of its accelerators that it holds, in 10⁹ bytes"),
    ("gpu_use", "float64", "share of the time that its accelerators were busy, 0 to 1"),
)
"""One line per rank of a running attempt, every few seconds."""

PHASES = ("placing", "loading", "compiling", "stepping", "validating", "saving", "working")
"""Phases whose seconds an attempt's line has, in the order they come."""

ATTEMPTS = (
    ("submitted_at", "timestamp[ms, tz=UTC]", "when it was handed to the executor"),
    ("ended_at", "timestamp[ms, tz=UTC]", "when its end was written down"),
    *WHERE,
    ("result", "string", "how it ended, as in the ledger"),
    ("seconds", "float64", "wall time of its work"),
    ("held_s", "float64", "seconds for which it held its part of the machines"),
    ("queued_s", "float64", "of those, seconds before its work began"),
    *((f"{phase}_s", "float64", f"seconds seen in phase `{phase}`") for phase in PHASES),
    ("num_gpus", "float64", "accelerators that it held, all ranks together"),
    ("gpu_hours", "float64", "accelerators × hours for which it held them"),
    ("num_ranks", "int32", "ranks that were seen"),
    ("num_samples", "int64", "samples that were taken of it"),
    ("steps", "int64", "steps that were done when it was last seen"),
    ("steps_per_s", "float64", "median over the samples of rank 0"),
    ("tokens_per_s", "float64", "mean over the time in which tokens were counted, all ranks"),
    ("memory_gb", "float64", "most host memory of one process, in 10⁹ bytes"),
    ("gpu_memory_gb", "float64", "most memory of accelerators that one process held, in 10⁹ bytes"),
    ("gpu_use", "float64", "mean over the samples, 0 to 1"),
)
"""One line per attempt that ended and lasted a second at least."""

TABLES = {"samples": SAMPLES, "attempts": ATTEMPTS}
"""Name of a table and of its folder -> its columns."""


def schema(table: str) -> "pa.Schema":
    """Return the Arrow schema of a table; each field's meaning is in its metadata.

    Args:
        table: `samples` or `attempts`.
    """
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "timestamp[ms, tz=UTC]": pa.timestamp("ms", tz="UTC"),
    }
    return pa.schema(
        [
            pa.field(name, types[type_], metadata={"meaning": meaning})
            for name, type_, meaning in TABLES[table]
        ]
    )
