"""The deep vault: Delta tables, the night that recomputes them, and what it publishes."""
