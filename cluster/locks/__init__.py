"""Who may write? A file that the kernel locks, on a disk; a lease with a heartbeat elsewhere."""
