"""What is checked about the model, one module a concern; `whodid.semconv.check` has the list."""
