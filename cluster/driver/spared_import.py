"""What Ray imports before the first call of a process, and what no call of ours needs it for.

Ray has its way of sending pyarrow's objects ready before it sends anything. With numpy, that import
is most of what a first call waits for; jobs that need either import it themselves.
"""

import sys


def leave_out_pyarrow() -> None:
    """Have Ray prepare to send objects as it does where pyarrow is not installed.

    What it prepared stays for the life of this process; afterwards pyarrow can be imported. Nothing
    is done without Ray, and where pyarrow was imported before.
    """
    ray_worker = sys.modules.get("ray._private.worker")
    if ray_worker is None or "pyarrow" in sys.modules:
        return
    worker = getattr(ray_worker, "global_worker", None)
    prepare = getattr(worker, "get_serialization_context", None)
    assert prepare is not None, "Ray renamed what prepares to send objects"
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    try:
        prepare()
    finally:
        del sys.modules["pyarrow"]
