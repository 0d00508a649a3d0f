"""Places that photos come from, one file each."""
