"""Endpoints that speak OpenAI's HTTP: chat completions, streamed or whole, and embeddings."""
