"""The process by which Ray runs a node has ended."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"LocalRayletDiedError|Unable to register worker with raylet|Failed to connect to GCS|"
    r"[Rr]aylet .*(?:has died|died|exited|is terminated|crashed)(?!.*node)|"
    r"lost connection to the raylet|Failed to connect to (?:the )?[Rr]aylet|"
    r"Some workers of the worker process\(\d+\) have not registered"
)
FAULT_CLASS = FaultClass.CLUSTER
REMEDY = (
    "Ray is started again by itself; its own log says why: "
    "`/tmp/ray/session_latest/logs/raylet.out` on that node"
)
