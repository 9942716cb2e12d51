"""The hub, or a service, asks for fewer requests."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\b429 (?:Client Error|Too Many Requests)|"
    r"(?i:http (?:status )?(?:code )?429)|"
    r"(?i:too many requests)(?!Exception)|"
    r"(?i:rate limit(?:ed)? (?:exceeded|reached)|we had to rate limit)"
)
FAULT_CLASS = FaultClass.NETWORK
REMEDY = (
    "it passes by itself; with a token the limit is higher (`hf auth login`), and `deltascale "
    "fetch STUDY` asks once for all jobs"
)
