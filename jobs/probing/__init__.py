"""The direction that tells toxic from neutral text, and the value vectors that lie along it."""
