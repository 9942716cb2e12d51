"""A service on the network cannot be reached from the node."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Max retries exceeded with url|CAS service error|"
    r"ConnectionRefusedError|\[Errno 111\] Connection refused|"
    r"failure in name resolution|"
    r"Name or service not known|"
    r"Network is unreachable|"
    r"No route to host|"
    r"couldn't connect to 'https?:|"
    r"(?:httpx2?|urllib3|requests|aiohttp)\S*\.(?:New)?Connect(?:ion)?(?:Error|Timeout)|"
    r"(?:httpx2?|urllib3|requests)\S*\.ReadTimeout"
)
FAULT_CLASS = FaultClass.NETWORK
REMEDY = (
    "nodes without a way out need what the study reads beforehand: `deltascale fetch STUDY`; "
    "else see proxy and DNS of that node"
)
