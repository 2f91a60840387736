"""SimScale: reactive, simulated training data from driving logs."""

__version__ = "0.1.0"
