"""Relabel plans, accepted as a user does it."""

import csv
from pathlib import Path


def accept_all(plan: Path) -> Path:
    """Write yes into the column accept of each row."""
    with open(plan, encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(plan, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "accept": "yes"} for row in rows)
    return plan
