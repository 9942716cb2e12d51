"""What was tried before? Ledger, retries, locks. A job's record.json is in jobs/artifacts."""
