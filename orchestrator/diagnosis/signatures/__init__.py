"""Signatures of known failures, one per file."""
