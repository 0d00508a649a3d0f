"""An old name of `commands.check_labels.known_issues`."""

from imgcli.commands.check_labels import known_issues

__all__ = ["known_issues"]
