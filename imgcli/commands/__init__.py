"""The Python API: a function per command, typed arguments in, a frozen result out."""
