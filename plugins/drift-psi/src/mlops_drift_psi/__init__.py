"""Population stability index, decided by its null distribution."""
