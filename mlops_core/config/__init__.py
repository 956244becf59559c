"""``mlops.yaml`` to a frozen, checked configuration."""
