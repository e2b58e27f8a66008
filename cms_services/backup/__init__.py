"""Backups: everything that is stored in one encrypted file, and back from it, on any database."""
