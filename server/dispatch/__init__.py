"""Carries out what routing decides: whom to ask, when another, and what is counted of it."""
