"""The outside world: one module (or package) a client library. Adapters implement ports and raise our errors only."""
