"""Chaos: real processes that are killed and starved under load, and every acknowledged span counted."""
