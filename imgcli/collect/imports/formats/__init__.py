"""One file per format: `find` recognises it in a folder or archive and returns a `Source`."""
