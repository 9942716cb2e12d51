"""A file of weights is cut off or damaged."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"SafetensorError(?!: Error while serializing)|"
    r"Error while deserializing header|"
    r"HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer|"
    r"PytorchStreamReader failed|"
    r"invalid magic number; corrupt file"
)
FAULT_CLASS = FaultClass.PROGRAM
REMEDY = (
    "`deltascale verify STUDY --repair` computes what is the root's own again; a model of the "
    "hub: delete its snapshot and `deltascale fetch STUDY`"
)
