"""What the terminal is asked, and what it answers."""
