"""The outside world: one module a client library, each implementing ports and translating foreign exceptions into ours."""
