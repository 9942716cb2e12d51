"""How is a service over HTTP asked for long? Endpoint, pace, retries, keys, answers kept."""
