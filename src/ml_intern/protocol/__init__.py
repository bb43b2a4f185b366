"""The nouns: what a frontend may ask, what happened, what the model sees. Imports nothing of ours but errors."""
