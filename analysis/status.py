"""The closed list of reasons why a number may be absent or need a warning. Missing is not zero."""

from enum import StrEnum


class Status(StrEnum):
    """Whether a measurement's number may be trusted, or why there is none."""

    OK = "ok"
    NOT_DEFINED_FOR_FAMILY = "not_defined_for_family"
    OUT_OF_MEMORY = "out_of_memory"
    JOB_FAILED = "job_failed"
    NOT_RUN = "not_run"
    BELOW_NOISE_FLOOR = "below_noise_floor"
    TOO_FEW_GROUPS = "too_few_groups"
    TOO_FEW_ROWS = "too_few_rows"
    TOO_FEW_SIZES = "too_few_sizes"
    NO_WEIGHTS = "no_weights"
    NOT_AT_DOSE = "not_at_dose"
    MEASURED_ELSEWHERE = "measured_elsewhere"
    UNDEFINED = "undefined"


MEANINGS: dict[Status, str] = {
    Status.OK: "measured",
    Status.NOT_DEFINED_FOR_FAMILY: "the quantity does not exist in this model family",
    Status.OUT_OF_MEMORY: "the job ran out of memory",
    Status.JOB_FAILED: "the job failed",
    Status.NOT_RUN: "no job of the study measured this",
    Status.BELOW_NOISE_FLOOR: "not distinguishable from the base model against itself",
    Status.TOO_FEW_GROUPS: "too few prompt groups for an interval",
    Status.TOO_FEW_ROWS: "too few prompts to tell so many directions apart",
    Status.TOO_FEW_SIZES: "fewer than 4 model sizes, no scaling law is fitted",
    Status.NO_WEIGHTS: "the model is behind an endpoint, its activations cannot be read",
    Status.NOT_AT_DOSE: "the training has no one step at the dose asked for",
    Status.MEASURED_ELSEWHERE: "measured, but not at the place that is looked at",
    Status.UNDEFINED: "the definition has no value on these rows",
}
"""One plain sentence per status, for footnotes."""
