"""Tables as Parquet or Arrow files."""
