"""The names of `imgcli.provenance`, for importers that still look for them here."""

from imgcli.provenance import FROM, NAME, is_damaged, line_of, read

__all__ = ["FROM", "NAME", "is_damaged", "line_of", "read"]
