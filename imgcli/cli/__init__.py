"""One thin file per command: parse, call, render. Imports no torch."""
