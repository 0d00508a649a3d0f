"""Label Studio's JSON: tasks to import there, and its exports as rows of a table.

A task:    {"data": {"image": "/data/local-files/?d=photos/a.jpg"}, "predictions": [...]}
JSON:      the task with "annotations": [{"result": [{"value": {"choices": ["cat"]}, ...}]}]
JSON-MIN:  {"image": "/data/local-files/?d=photos/a.jpg", "choice": "cat"}
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

LOCAL = "/data/local-files/"  # the photos of a folder that Label Studio serves
CHOICE = "choice"  # the control of its template for image classification


def task(path: str, guess: str | None) -> dict[str, Any]:
    """A task: a photo by its path below the folder that is served, with a guess as prediction."""
    choice = {"from_name": CHOICE, "to_name": "image", "type": "choices"}
    guessed = [{"result": [{**choice, "value": {"choices": [name]}}]} for name in [guess] if name]
    image = f"{LOCAL}?d={quote(path)}"
    return {"data": {"image": image}, "meta": {"path": path}, "predictions": guessed}


def is_export(cells: Mapping[str, Any]) -> bool:
    """Whether an object is a task of an export, in either form."""
    if isinstance(cells.get("data"), dict) and isinstance(cells.get("annotations"), list):
        return True
    image = cells.get("image")
    return CHOICE in cells and isinstance(image, str) and image.startswith(LOCAL)


def row(cells: Mapping[str, Any]) -> dict[str, Any] | str:
    """The photo and the label of a task of an export; or why it has none.

    Of several annotations the last that was not cancelled counts.
    """
    if CHOICE in cells:
        return {"path": _path(cells.get("image")), "label": cells[CHOICE]}
    data = cells["data"]
    path = _path(next((data[key] for key in ("image", "img", "photo") if key in data), None))
    given = [one for one in cells["annotations"] if isinstance(one, dict)]
    labels = [_choices(one) for one in given if not one.get("was_cancelled")]
    chosen = next((names for names in reversed(labels) if names), None)
    if chosen is None:
        return "has no annotation with a choice"
    if len(chosen) > 1:
        return f"has several choices ({', '.join(chosen)})"
    return {"path": path, "label": chosen[0]}


def _choices(annotation: Mapping[str, Any]) -> list[str]:
    """What was chosen for a whole photo."""
    results = annotation.get("result")
    found: list[str] = []
    for one in results if isinstance(results, list) else ():
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            found += [str(name) for name in value["choices"]]
    return found


def _path(image: Any) -> str:
    """The path in a photo's address; what is no address of a served file stays as it is."""
    text = image if isinstance(image, str) else ""
    if not text.startswith(LOCAL):
        return text
    return next(iter(parse_qs(urlsplit(text).query).get("d", [])), "")
