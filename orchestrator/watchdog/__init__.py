"""Is a running job well, slow, or hung? Pure rules over heartbeats, and who ends what hangs."""
