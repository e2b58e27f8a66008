"""Comparing what this application answers with what the old script answered."""
