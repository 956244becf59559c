"""Two-sample Kolmogorov-Smirnov drift test."""
