"""Where: executors that run calls; resources, storage of bytes, locks; what users did wrong."""
