"""Photos on disk become arrays: the one scan, the one decode, duplicates, split, row store."""
