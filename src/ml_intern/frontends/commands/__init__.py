"""One module per sub-command, imported when it is called."""
