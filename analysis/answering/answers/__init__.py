"""The questions a study answers, one per file; the contract is `analysis/answering/answer.py`."""
