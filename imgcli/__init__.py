"""imgcli: from labelled photos to an image classifier one can trust."""

__version__ = "0.1.0"
