"""Three copies under load and faults, and an independent look at what they kept. See `__main__`."""
