"""Which column gets which rule, the rewrite that applies it at the source, and the release of what comes back. Pure."""
