"""Model registry in SQLite through SQLAlchemy."""
