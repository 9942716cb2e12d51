"""`Lora`: the params of an adapter that is trained in place of all weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Lora(BaseModel):
    """An adapter W + (alpha / rank) B A beside linear layers, B = 0 before the first step.

    Biases are frozen and nothing is dropped out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rank: int = Field(16, ge=1, description="Rows of A, columns of B.")
    alpha: float = Field(32.0, gt=0, description="The product counts alpha / rank times.")
    targets: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Names of linear layers in a block, such as q_proj or attn.c_attn. "
        "Null: all linear layers of all blocks.",
    )
    quantised: Literal["nf4"] | None = Field(
        None,
        description="Hold the base in 4-bit NormalFloats, their scales quantised again; "
        "needs a GPU and the extra `qlora`.",
    )

    @property
    def peft_settings(self) -> dict[str, object]:
        """Arguments of peft.LoraConfig that do not depend on the model, all written out."""
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "use_rslora": False,
            "use_dora": False,
            "init_lora_weights": True,
            "modules_to_save": None,
            "task_type": "CAUSAL_LM",
        }
