"""A model brings code of its own, which is not run."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"requires you to execute the (?:configuration|model|modeling|tokenizer) file|"
    r"trust_remote_code=True"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "take a model whose family is known (`deltascale schema`), or convert it: docs/howto/own- "
    "model.md"
)
