"""`python -m cms_services` is the command `cms-services`."""

from cms_services.cli import main

main()
