"""A hub on this machine: the endpoints that huggingface_hub asks, and the faults of a real one."""
