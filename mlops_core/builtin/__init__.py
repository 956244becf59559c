"""Plugins that the core ships, found through the same entry points as a stranger's."""
