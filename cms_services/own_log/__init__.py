"""The application's own log lines: their form, and where they go."""
