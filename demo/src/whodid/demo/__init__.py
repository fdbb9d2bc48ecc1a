"""The demo: a support agent, a research agent and an order system, with models that need no network."""
