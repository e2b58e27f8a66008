"""Many users on an installation of several nodes: how it is loaded, and what that costs it."""
