"""Serving on this machine, over HTTP."""
