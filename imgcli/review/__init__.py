"""Pages in the browser, served to this machine alone, where photos are looked at and decided."""
