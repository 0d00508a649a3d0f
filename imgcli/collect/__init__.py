"""Photos come in: safe archives, class folders, the store that places photos with provenance."""
