"""Small things that several modules need."""
