"""Aggregates over windows of event time: how windows lie, what is kept of them, and the fold over both."""
