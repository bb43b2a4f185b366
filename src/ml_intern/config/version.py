"""The version, readable without looking up the installed distribution (which costs more than the interpreter's start)."""

__version__ = "0.1.0"
