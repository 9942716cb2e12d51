"""Waits until a Ray has as many nodes as were asked for; run by batch scripts on the first node."""

import sys
import time

_LOOK_EVERY_S = 1.0


def main(words: list[str]) -> int:
    """Wait for the nodes of a Ray, with the token that Ray finds by itself.

    Args:
        words: address, number of nodes, and how many seconds they may take.

    Returns:
        0 once all are there, 1 when they did not come.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    address, number, seconds = words[0], int(words[1]), float(words[2])
    until, alive = time.monotonic() + seconds, 0
    client = GcsClient(address=address)
    while time.monotonic() < until:
        alive = _num_alive(client)
        if alive >= number:
            return 0
        time.sleep(_LOOK_EVERY_S)
    sys.stderr.write(f"{alive} of {number} nodes joined Ray within {seconds:g} s\n")
    return 1


def _num_alive(client: "object") -> int:
    from ray.core.generated.gcs_pb2 import GcsNodeInfo
    from ray.exceptions import RpcError

    try:
        nodes = client.get_all_node_info(timeout=10)  # type: ignore[attr-defined]
    except RpcError:
        return 0
    return sum(node.state == GcsNodeInfo.GcsNodeState.ALIVE for node in nodes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
