"""One conversation slot: what a frontend holds. It routes operations to the current session and survives new, resume and fork."""
