"""Forwarding: the spans as the pipeline leaves them, on to another OTLP endpoint."""
