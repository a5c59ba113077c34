"""The configuration: what an operator says, parsed once and frozen.

Its keys are public and explained in docs/configuration.md. `schema` has them all, `file` reads the
file, and `check` says what has to hold between them.
"""
