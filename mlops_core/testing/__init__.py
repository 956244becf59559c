"""The published conformance kit: in-memory reference backends, a fake clock, and one suite per role."""
