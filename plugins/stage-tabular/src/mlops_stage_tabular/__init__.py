"""Stages for tabular data: CSV, Parquet, scikit-learn."""
