"""Pictures in the conversation: read in a thread, shown in the best way that the terminal can."""
