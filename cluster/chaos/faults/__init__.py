"""The faults that may be injected, one per file; the contract is `cluster/chaos/fault.py`."""
