"""Replays recorded outcomes through the real parts, on a virtual clock and without a wire."""
