"""Groups of the command `cms-services`, one a module."""
