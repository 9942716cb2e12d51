"""An object storage refuses the credentials."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bExpiredToken(?:Exception)?\b|"
    r"InvalidAccessKeyId|"
    r"SignatureDoesNotMatch|"
    r"NoCredentialsError|Unable to locate credentials|"
    r"An error occurred \((?:403|AccessDenied)\)|"
    r"\(403\) when calling the \w+ operation"
)
FAULT_CLASS = FaultClass.PERMISSION
REMEDY = "renew the credentials where jobs run (`aws sts get-caller-identity`), then launch again"
