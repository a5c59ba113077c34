"""The files that a configuration names: each can be used, or the reason is told."""
