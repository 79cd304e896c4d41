"""A real control plane, with the operator's namespace, identity and rights in it."""
