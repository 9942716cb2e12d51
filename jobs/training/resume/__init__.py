"""How a run that was killed goes on: checkpoints of every engine, written while it trains."""
