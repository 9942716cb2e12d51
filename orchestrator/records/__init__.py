"""What happened before, and who is at work? Ledger, failures, locks, verification, garbage."""
