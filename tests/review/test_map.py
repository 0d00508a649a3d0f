"""The map of all photos: places by content, the one binary array, routes that give out no more."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from imgcli.records import Predictions
from imgcli.report.projection import places_by_features
from imgcli.review.map import (
    Colouring,
    PhotoMap,
    captions_of,
    colourings_of,
    places_of,
    routes,
)
from tests.support.predictions import ODD, photo_predictions

CLUSTERS, EACH = 3, 12


def clusters(seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Features of 36 photos in three heaps far from each other."""
    rng = np.random.default_rng(seed)
    heaps = np.repeat(np.eye(CLUSTERS, 8) * 20, EACH, axis=0)
    return (heaps + rng.normal(size=heaps.shape)).astype(np.float32)


def map_of(said: Predictions, sources: list[str | None] | None = None) -> PhotoMap:
    places = np.linspace(-1, 1, 2 * len(said), dtype=np.float32).reshape(-1, 2)
    colourings = colourings_of(said, sources or [None] * len(said))
    return PhotoMap("photos", said.paths, captions_of(said), places, colourings)


def client_of(found: PhotoMap) -> TestClient:
    return TestClient(Starlette(routes=routes(found, lambda i: b"webp" if i else None)))


# --- places -------------------------------------------------------------------------------------


def test_the_nearest_photos_are_of_the_same_heap() -> None:
    places = places_by_features(clusters())
    far = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(len(places))
    heap = np.repeat(np.arange(CLUSTERS), EACH)
    assert (heap[far.argmin(axis=1)] == heap).all()
    assert np.abs(places).max() == pytest.approx(1)


def test_the_same_features_have_the_same_places_with_one_thread_or_two() -> None:
    from threadpoolctl import threadpool_limits

    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(places_by_features(clusters()))
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], places_by_features(clusters(seed=1)))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10])
def test_few_photos_have_places_too(n: int) -> None:
    places = places_by_features(clusters()[:n])
    assert places.shape == (n, 2) and np.isfinite(places).all()


def test_photos_that_are_all_the_same_have_one_place() -> None:
    places = places_by_features(np.ones((20, 5), dtype=np.float32))
    assert np.array_equal(places, np.zeros((20, 2)))


def test_places_are_kept_by_the_content_of_the_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = places_of(clusters(), cache=tmp_path)
    asked = []

    def counted(features: np.ndarray, seed: int) -> np.ndarray:  # type: ignore[type-arg]
        asked.append(len(features))
        return np.zeros((len(features), 2), np.float32)

    monkeypatch.setattr("imgcli.review.map.places_by_features", counted)
    assert np.array_equal(places_of(clusters(), cache=tmp_path), first) and asked == []
    one_more = np.concatenate([clusters(), clusters()[:1]])
    for features, seed in ((clusters(seed=1), 0), (clusters(), 1), (one_more, 0)):
        assert not places_of(features, seed, cache=tmp_path).any()
    assert asked == [36, 36, 37]


def test_imgcli_cache_knows_the_maps(tmp_path: Path) -> None:
    from imgcli.photos.cache_report import contents

    places_of(clusters(), cache=tmp_path)
    (stored,) = contents(tmp_path)
    assert (stored.kind, stored.about, stored.state) == ("maps", "maps of 36 photos", "current")


# --- what travels -------------------------------------------------------------------------------


def test_the_array_is_places_then_codes() -> None:
    codes = [np.array(codes, dtype=np.int64) for codes in ([0, 1, -1], [1, 1, 0])]
    colourings = tuple(Colouring(f"{i}", "", ("a", "b"), one) for i, one in enumerate(codes))
    places = np.array([[0, 1], [-1, 0.5], [0.25, -1]], dtype=np.float32)
    found = PhotoMap("", ("x", "y", "z"), ("", "", ""), places, colourings)
    expected = struct.pack("<6f6H", 0, 1, -1, 0.5, 0.25, -1, 0, 1, 0xFFFF, 1, 1, 0)
    assert found.packed() == expected
    assert client_of(found).get("/map/points").content == expected


def test_photos_are_coloured_by_label_prediction_error_and_source() -> None:
    found = colourings_of(photo_predictions([[1, 1], [0, 1]]), ["b", None, "a"])
    assert [(c.key, c.names, c.codes.tolist()) for c in found] == [
        ("label", ("class_000", "class_001"), [0, 0, 1]),
        ("prediction", ("class_000", "class_001"), [0, 1, 1]),
        ("error", ("right", "wrong"), [0, 1, 0]),
        ("source", ("a", "b"), [1, -1, 0]),
    ]
    assert len(colourings_of(photo_predictions([[1, 1], [0, 1]]), [None] * 3)) == 3


def test_captions_say_label_prediction_and_confidence() -> None:
    said = replace(
        photo_predictions([[1, 1], [0, 0]]), probs=np.array([[0.75, 0.25], [0.375, 0.625]])
    )
    assert captions_of(said) == (
        "class_000: right, 75.0 % sure",
        "class_000: predicted as class_001, 62.5 % sure",
    )


def test_photos_are_told_by_their_ids() -> None:
    client = client_of(map_of(photo_predictions([[1, 1], [0, 1]])))
    photos = client.get("/map/photos?ids=2,0").json()
    assert [photo["path"] for photo in photos] == ["train/c1/0002.png", "train/c0/0000.png"]
    picture = client.get("/map/thumbnail/1")
    assert (picture.content, picture.headers["content-type"]) == (b"webp", "image/webp")
    assert client.get("/map/thumbnail/0").status_code == 404  # cannot be read
    listed = client.post("/map/list", content=struct.pack("<2I", 1, 2))
    assert listed.text == "train/c0/0001.png\ntrain/c1/0002.png\n"


@pytest.mark.parametrize("ids", ["", "3", "-1", "x", "1,,2", "٣", "1" * 5000, "0/../../etc/passwd"])
def test_other_ids_are_refused(ids: str) -> None:
    client = client_of(map_of(photo_predictions([[1, 1], [0, 1]])))
    assert client.get("/map/photos", params={"ids": ids}).status_code == 404
    assert client.get(f"/map/thumbnail/{ids}").status_code == 404


@pytest.mark.parametrize("body", [b"123", struct.pack("<I", 3), bytes(16)])
def test_lists_of_other_ids_are_refused(body: bytes) -> None:
    client = client_of(map_of(photo_predictions([[1, 1], [0, 1]])))
    assert client.post("/map/list", content=body).status_code == 400


def test_many_ids_at_once_are_refused_and_no_other_file_is_served() -> None:
    client = client_of(map_of(photo_predictions([[1, 1], [0, 1]])))
    assert client.get("/map/photos", params={"ids": ",".join("0" * 201)}).status_code == 400
    assert client.get("/map/static/map.js").status_code == 200
    for name in ("..%2fmap.py", "..%2f..%2fruns.py", "nothing.js"):
        assert client.get(f"/map/static/{name}").status_code == 404


def test_a_thumbnail_is_made_once() -> None:
    asked: list[int] = []
    found = map_of(photo_predictions([[1, 1], [0, 1]]))
    client = TestClient(Starlette(routes=routes(found, lambda i: asked.append(i) or b"webp")))
    assert [client.get("/map/thumbnail/2").status_code for _ in range(3)] == [200] * 3
    assert asked == [2]


def test_hostile_names_travel_as_text_and_files_that_cannot_be_named_do_too() -> None:
    said = photo_predictions(np.eye(len(ODD), dtype=int), ODD)
    found = replace(map_of(replace(said, paths=ODD)), title=ODD[0])
    client = client_of(found)
    page = client.get("/map").text
    assert "<script>alert" not in page and "&lt;/script&gt;" in page
    names = client.get("/map/about").json()["colourings"][0]["names"]
    assert len(names) == len(ODD) and not any("\n" in name or "\u202e" in name for name in names)
    everything = struct.pack(f"<{len(ODD)}I", *range(len(ODD)))
    assert len(client.post("/map/list", content=everything).text.splitlines()) == len(ODD)
