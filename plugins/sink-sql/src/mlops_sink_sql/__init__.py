"""Monitoring segments in SQLite through SQLAlchemy."""
