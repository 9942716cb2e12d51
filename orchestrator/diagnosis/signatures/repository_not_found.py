"""The hub has no such repository, revision or file."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"(?:RepositoryNotFoundError|RevisionNotFoundError|(?<!Local)EntryNotFoundError)(?!.*\b401\b)|"
    r"\b404 Client Error.*(?:huggingface\.co|hf\.co)|"
    r"is not a local folder and is not a valid model identifier"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = "compare `source:` with the repository's page: name, revision, file"
