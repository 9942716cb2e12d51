"""Asking a service over HTTP, politely and for long: pace, patience, and what was answered kept."""
