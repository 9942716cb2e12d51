"""`Served`: a server of the user's own that continues prompts, and how it is asked."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from jobs.params import execution
from jobs.service.credentials import Address, VariableName


class Served(BaseModel):
    """The server, and how it is asked."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )
    SENDS: ClassVar[str] = "prompts (as token ids)"
    """What leaves for the address."""

    base_url: Address = execution(
        ..., "Where the server answers, such as http://localhost:8000/v1."
    )
    model: str = Field(min_length=1, description="The model's name there.")
    api_key_variable: VariableName | None = execution(
        None, "Environment variable that holds the key where jobs run; null: none is needed."
    )
    probes: int = execution(
        8,
        "Prompts whose continuations are held against the weights here before the others are "
        "sent; 0 loads no weights for that, and the numbers say that nothing was checked.",
        ge=0,
    )
    tolerance: float = execution(
        0.05, "Most nats a token by which server and weights may differ on them.", gt=0
    )
    at_once: int = execution(32, "Most requests under way.", ge=1, le=256)
    timeout_s: float = execution(120, "Longest wait for one whole answer.", gt=0)
    max_retries: int = execution(5, "How often one prompt is sent again.", ge=0, le=20)
    first_wait_s: float = execution(1, "Wait before the first retry, then twice that.", ge=0)
