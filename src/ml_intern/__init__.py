"""ml-intern: an autonomous ML engineer for the terminal."""
