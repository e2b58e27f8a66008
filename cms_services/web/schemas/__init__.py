"""The wire form of everything, in and out: the only place that knows wire names."""
