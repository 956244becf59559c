"""Plan, run and resume a pipeline; the built-in stages ``validation``, ``deployment`` and ``monitoring``."""
