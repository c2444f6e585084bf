"""The scheduler core run over a trace of requests."""
