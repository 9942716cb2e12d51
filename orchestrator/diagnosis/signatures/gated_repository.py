"""A repository of the hub needs a token, or its licence is not accepted yet."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"GatedRepoError|"
    r"(?:[Cc]annot|trying to) access (?:a )?gated repo|"
    r"Access to (?:model|dataset) \S+ is restricted|"
    r"awaiting a review from the repo authors|"
    r"\b40[13] (?:Client Error|Forbidden|Unauthorized).*(?:huggingface\.co|hf\.co)|"
    r"(?:huggingface\.co|hf\.co)\S*.*\b40[13] (?:Client Error|Forbidden|Unauthorized)|"
    r"Invalid user token|"
    r"LocalTokenNotFoundError|"
    r"make sure you are authenticated"
)
FAULT_CLASS = FaultClass.PERMISSION
REMEDY = (
    "accept the licence on the repository's page, then `hf auth login` (or HF_TOKEN) where "
    "jobs run; `deltascale fetch STUDY` brings it before jobs need it"
)
