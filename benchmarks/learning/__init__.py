"""How well plans learn, on recorded outcomes: `python -m benchmarks.learning`."""
