"""The receivers: OTLP as it arrives, over gRPC and HTTP."""
