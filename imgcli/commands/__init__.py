"""The Python API: one function per command, typed arguments in, a frozen result out."""
