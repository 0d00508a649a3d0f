"""`python -m imgcli`."""

from imgcli.cli.main import main

main()
