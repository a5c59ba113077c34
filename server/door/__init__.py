"""The door for OpenAI clients: HTTP/1.1 in, the dispatcher inside, no decision of its own."""
