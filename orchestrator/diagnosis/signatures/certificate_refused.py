"""The certificate of a service is not trusted here: mostly a proxy that opens connections."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"CERTIFICATE_VERIFY_FAILED|"
    r"certificate verify failed"
)
FAULT_CLASS = FaultClass.NETWORK
REMEDY = "name the proxy's certificates in SSL_CERT_FILE and REQUESTS_CA_BUNDLE where jobs run"
