"""Ways of telling people, one per file: `ways/NAME.py`. Contract: `orchestrator/notices/way.py`."""
