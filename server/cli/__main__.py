"""`python -m server.cli`, where the command turnout is not on the path."""

from server.cli import main

main()
