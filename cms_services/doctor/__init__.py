"""What is wrong with an installation, and how each is mended."""
