"""Providers as they answer, for a host on loopback; the oddities are those that were met."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from imgcli.http.client import Client
from imgcli.http.request import NetLimits
from tests.support.fake_host import FakeHost, Reply

FAST = NetLimits(delay=0.005, connect=1.0, read=1.0, seconds=3.0, backoff=0.01)
CLIENTS: list[Client] = []

Ask = Callable[[dict[str, str]], dict[str, Any] | Reply]


def api(answer: Ask) -> Callable[[str], Reply]:
    """Answers of a path from the query's parameters, as JSON."""

    def reply(path: str) -> Reply:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        document = answer(asked)
        if isinstance(document, Reply):
            return document
        return Reply(headers={"Content-Type": "application/json"}, body=encoded(document))

    return reply


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def client_of(*hosts: FakeHost) -> Client:
    """A client that may speak to fake hosts, and is quick about it; closed after the test."""
    CLIENTS.append(Client(allow_hosts=[host.at for host in hosts], limits=FAST))
    return CLIENTS[-1]


def asked(host: FakeHost, number: int) -> dict[str, str]:
    """The parameters of a host's request."""
    query = parse_qs(urlsplit(host.log[number].path).query)
    return {name: values[0] for name, values in query.items()}


# --- Openverse ----------------------------------------------------------------------------------


def openverse_result(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "title": f"Night {number}",
        "foreign_landing_url": f"https://photos.test/page/{number}",
        "url": f"https://photos.test/{number}.jpg",
        "creator": "Jane",
        "creator_url": "https://photos.test/jane",
        "license": "by-sa",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"name": "night"}],
        "attribution": f'"Night {number}" by Jane is licensed under CC BY-SA 2.0.',
        "mature": False,
        "height": 3,
        "width": 4,
        **changes,
    }


def openverse(results: list[dict[str, Any]]) -> Callable[[str], Reply]:
    """`/v1/images/`, with the limit on anonymous page sizes."""

    def answer(asked: dict[str, str]) -> dict[str, Any] | Reply:
        size, page = int(asked["page_size"]), int(asked["page"])
        if size > 20:
            return Reply(401, body=encoded({"detail": "page_size too large"}))
        pages = -(-len(results) // size)
        return {
            "result_count": len(results),
            "page_count": pages,
            "page_size": size,
            "page": page,
            "results": results[(page - 1) * size : page * size],
        }

    return api(answer)


# --- Wikimedia ----------------------------------------------------------------------------------


def wikimedia_page(number: int, **changes: Any) -> dict[str, Any]:
    described = {
        "Artist": {"value": '<a href="//commons.test/wiki/User:Jane" title="x">Jane &amp; Jo</a>'},
        "License": {"value": "cc-by-sa-4.0"},
        "LicenseShortName": {"value": "CC BY-SA 4.0"},
        "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"},
    }
    info = {
        "url": f"https://upload.test/{number}.jpg",
        "descriptionurl": f"https://commons.test/wiki/File:{number}.jpg",
        "user": "Uploader",
        "width": 4,
        "height": 3,
        "size": 300,
        "mime": "image/jpeg",
        "mediatype": "BITMAP",
        "extmetadata": described,
        **changes,
    }
    return {
        "pageid": number,
        "ns": 6,
        "title": f"File:{number}.jpg",
        "index": number,
        "imageinfo": [info],
    }


# --- Flickr -------------------------------------------------------------------------------------


def flickr_photo(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "owner": "12@N01",
        "ownername": "Jane",
        "title": f"Night {number}",
        "license": "4",
        "url_l": f"https://live.test/{number}_b.jpg",
        "height_l": "768",
        "width_l": 1024,
        "url_m": f"https://live.test/{number}_m.jpg",
        **changes,
    }


def flickr(uploads: dict[int, int], per_answer: int = 500) -> Callable[[str], Reply]:
    """`flickr.photos.search` over photos by number and time of upload.

    After 4,000 results it only repeats the last page, and its numbers are strings or not.
    """

    def answer(asked: dict[str, str]) -> dict[str, Any]:
        first, last = int(asked.get("min_upload_date", 0)), int(asked.get("max_upload_date", 1e12))
        found = [number for number, at in uploads.items() if first <= at <= last]
        size, page = min(int(asked["per_page"]), per_answer), int(asked["page"])
        page = min(page, 4000 // size)
        photos = [flickr_photo(n) for n in found[(page - 1) * size : page * size]]
        counted = {"page": page, "pages": -(-len(found) // size), "perpage": size}
        return {"photos": {**counted, "total": str(len(found)), "photo": photos}, "stat": "ok"}

    return api(answer)


# --- iNaturalist --------------------------------------------------------------------------------


def observation(number: int, *photos: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "uri": f"https://www.inaturalist.test/observations/{number}",
        "quality_grade": "research",
        "taxon": {"id": 1, "name": "Strix aluco", "preferred_common_name": "Tawny Owl"},
        "user": {"login": "jane", "name": None},
        "photos": list(photos),
    }


def observed(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "license_code": "cc-by-nc",
        "url": f"https://static.inaturalist.test/photos/{number}/square.jpg?1",
        "attribution": "(c) Jane, some rights reserved (CC BY-NC)",
        "original_dimensions": {"width": 4, "height": 3},
        "flags": [],
        **changes,
    }


def inaturalist(observations: list[dict[str, Any]]) -> Callable[[str], Reply]:
    def answer(asked: dict[str, str]) -> dict[str, Any] | Reply:
        if "page" in asked:
            return Reply(403)
        size = int(asked["per_page"])
        left = [one for one in observations if one["id"] > int(asked["id_above"])]
        return {"total_results": len(left), "page": 1, "per_page": size, "results": left[:size]}

    return api(answer)
