"""`ModelSizes`: the sizes of a model that memory and time depend on, from its config alone."""

from dataclasses import dataclass

from jobs.models.family import Saved, family_of_config, name_of_family
from jobs.models.shape import ModelConfig, Shape, as_mapping


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """The sizes of one model."""

    family: str
    """`model_type` of the model."""
    shape: Shape
    """Sizes of the model."""
    num_parameters: int
    """Weights in all."""
    num_inside: int
    """Those that are neither embedding nor unembedding."""

    @classmethod
    def of(cls, config: ModelConfig) -> "ModelSizes":
        """Read the sizes of our config fields or a config.json."""
        family, mapping = family_of_config(config), as_mapping(config)
        total, inside = family.num_parameters(config)
        return cls(
            family=name_of_family(mapping),
            shape=family.shape(config),
            num_parameters=total,
            num_inside=inside,
        )

    def saved(self, dtype: str) -> Saved:
        """Return what autograd keeps of a block."""
        return family_of_config({"family": self.family}).SAVED[dtype]
