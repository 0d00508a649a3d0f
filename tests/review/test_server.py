"""The page of a review: who is answered, what is sent, and what decisions do to the photos."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from imgcli.errors import DataError, StorageError
from imgcli.photos.quarantine import restore
from imgcli.review import server
from tests.support.disk import small_files
from tests.support.photos import write_tree
from tests.support.review import Page, doubtful, served
from tests.support.trees import file_states

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "raw", {"cat": 6, "dog": 6})


@pytest.fixture
def page(raw: Path) -> Iterator[Page]:
    with served({"labels": doubtful(raw)}) as found:
        yield found


# --- who is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/labels", "/api/labels/items", "/photo/labels/240/p0"])
def test_nothing_is_sent_without_the_token(page: Page, path: str) -> None:
    for wrong in ({}, {"token": page.token[:-1]}, {"token": ""}):
        answer = requests.get(f"{page.address}{path}", params=wrong, timeout=30)
        assert answer.status_code == 403 and "token" in answer.text


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(page: Page) -> None:
    answer = requests.get(
        f"{page.address}/labels", params={"token": page.token}, timeout=30, allow_redirects=False
    )
    assert answer.status_code == 303 and answer.headers["location"] == "/labels"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_and_names_decide_nothing(
    page: Page, raw: Path, headers: dict[str, str]
) -> None:
    before = file_states(raw)
    body = {"items": ["p0"], "choice": "quarantine"}
    answer = page.post("/api/labels/decide", body, headers=headers)
    assert answer.status_code in (403, 421) and file_states(raw) == before


def test_a_form_of_another_site_is_no_decision(page: Page, raw: Path) -> None:
    before = file_states(raw)
    answer = page.session.post(
        f"{page.address}/api/labels/decide",
        data='{"items": ["p0"], "choice": "quarantine"}',
        headers={"Content-Type": "text/plain"},
        timeout=30,
    )
    assert answer.status_code == 409 and "JSON" in answer.json()["error"]
    assert file_states(raw) == before


def test_pages_load_nothing_from_elsewhere_and_run_no_inline_script(page: Page) -> None:
    policy = page.get("/labels").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.get("/labels").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        *("/photo/labels/240/..%2F..%2Fetc%2Fpasswd", "/photo/labels/999/p0"),
        *("/static/..%2Fserver.py", "/static/nothing.js", "/nothing", "/photo/labels/240/p999"),
    ],
)
def test_only_what_is_reviewed_is_sent(page: Page, path: str) -> None:
    assert page.get(path).status_code == 404


def test_a_port_that_is_taken_is_one_sentence(page: Page) -> None:
    with pytest.raises(StorageError, match=f"Port {page.port} .* Choose another --port"):
        server.listening(page.port)


# --- what is sent -------------------------------------------------------------------------------


def test_items_are_filtered_by_class_source_confidence_and_text(page: Page) -> None:
    assert len(page.items("labels")) == 12
    assert {item["label"] for item in page.items("labels", label="cat")} == {"cat"}
    assert len(page.items("labels", source="web")) == 6
    assert page.items("labels", least="0.95") == []
    assert [i["photos"][0]["name"] for i in page.items("labels", text="CAT/03")] == ["cat/03.png"]


def test_a_photo_is_sent_in_two_sizes_and_a_changed_one_is_not(page: Page, raw: Path) -> None:
    for side in (240, 1280):
        answer = page.get(f"/photo/labels/{side}/p0")
        assert answer.headers["content-type"] == "image/webp" and answer.content[8:12] == b"WEBP"
    (raw / "cat/01.png").write_bytes((raw / "cat/02.png").read_bytes())
    assert page.get("/photo/labels/240/p1").status_code == 404


def test_hostile_names_are_text(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {HOSTILE.replace("/", "∕"): 2, 'a"b': 2, "\u202egnp": 2})
    os.rename(raw / 'a"b' / "00.png", raw / 'a"b' / "x\n<img src=x>.png")
    with served({"labels": doubtful(raw)}) as page:
        text = page.get("/labels").text
        assert "<script>alert" not in text and "&lt;script&gt;" in text
        names = [item["photos"][0]["name"] for item in page.items("labels")]
        assert 'a"b/x\\n<img src=x>.png' in names
        item = next(i for i in page.items("labels") if "<img" in i["photos"][0]["name"])
        assert page.decide("labels", item["id"], choice="quarantine")["refused"] == []
    assert not (raw / 'a"b' / "x\n<img src=x>.png").exists()


# --- decisions ----------------------------------------------------------------------------------


def test_five_hundred_decisions_are_undone_byte_for_byte(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw", {"cat": 250, "dog": 250})
    before, queue = file_states(raw), doubtful(raw)
    for n in range(500):
        queue.decide(f"p{n}", ("quarantine", "is:dog", "keep", "is:cat")[n % 4])
    assert len(file_states(raw)) == 375 and file_states(raw) != before
    assert queue.progress().left == 0
    for n in reversed(range(500)):
        undone = queue.undo()
        assert undone is not None and undone.id == f"p{n}"
    assert queue.undo() is None and file_states(raw) == before


def test_restore_brings_back_what_was_decided(page: Page, raw: Path) -> None:
    before = file_states(raw)
    page.decide("labels", "p0", "p1", choice="quarantine")
    page.decide("labels", "p2", choice="is:dog")
    assert len(restore(raw).done) == 3
    assert file_states(raw) == before


def test_what_was_kept_is_not_asked_again_and_what_was_undone_is(raw: Path) -> None:
    with served({"labels": doubtful(raw)}) as page:
        page.decide("labels", "p0", "p1", choice="keep")
        page.undo("labels")
    waiting = [item.id for item in doubtful(raw).waiting()]
    assert "p0" not in waiting and "p1" in waiting


def test_two_pages_do_not_decide_one_photo_twice(page: Page, raw: Path) -> None:
    page.decide("labels", "p0", choice="is:dog")
    after = file_states(raw)
    (refused,) = page.decide("labels", "p0", choice="quarantine")["refused"]
    assert "was decided already, as dog" in refused["error"] and file_states(raw) == after


def test_two_servers_share_a_folder(raw: Path) -> None:
    before = file_states(raw)
    with served({"labels": doubtful(raw)}) as one, served({"labels": doubtful(raw)}) as other:
        one.decide("labels", "p0", choice="quarantine")
        (refused,) = other.decide("labels", "p0", choice="is:dog")["refused"]
        assert "is not there any more" in refused["error"]
        assert other.decide("labels", "p1", choice="is:dog")["refused"] == []
    restore(raw)
    assert file_states(raw) == before


def test_a_photo_deleted_meanwhile_is_said_and_the_others_go_on(page: Page, raw: Path) -> None:
    (raw / "cat/00.png").unlink()
    found = page.decide("labels", "p0", "p1", choice="quarantine")
    assert [one["item"] for one in found["refused"]] == ["p0"]
    assert "is not there any more" in found["refused"][0]["error"]
    assert found["progress"]["decided"] == 1


@pytest.mark.parametrize("choice", ["is:bird", "is:", "only:1", "", "keep "])
def test_a_choice_that_there_is_not_changes_nothing(page: Page, raw: Path, choice: str) -> None:
    before = file_states(raw)
    assert "no choice" in page.decide("labels", "p0", choice=choice)["refused"][0]["error"]
    assert file_states(raw) == before


@pytest.mark.parametrize("body", [{}, {"items": "p0", "choice": "keep"}, [], "keep"])
def test_a_decision_without_its_parts_is_refused(page: Page, body: object) -> None:
    answer = page.post("/api/labels/decide", body)
    assert answer.status_code == 409 and answer.json()["error"].startswith("A decision")


def test_on_a_full_disk_nothing_is_half_decided(raw: Path) -> None:
    before = file_states(raw)
    queue = doubtful(raw)
    for choice in ("quarantine", "keep"):
        with small_files(20), pytest.raises((StorageError, OSError)):
            queue.decide("p0", choice)
        assert queue.progress().decided == 0 and file_states(raw) == before
    queue.decide("p0", "quarantine")
    assert queue.progress().decided == 1


def test_a_torn_line_of_what_was_kept_is_passed_over(raw: Path) -> None:
    doubtful(raw).decide("p0", "keep")
    file = raw.parent / "reviewed.jsonl"
    file.write_bytes(file.read_bytes() + b'{"kind": "labels", "subj')
    queue = doubtful(raw)
    queue.decide("p1", "keep")
    assert [json.loads(line)["kept"] for line in file.read_bytes().splitlines()] == [True, True]
    assert len(doubtful(raw).waiting()) == 10


# --- other pages --------------------------------------------------------------------------------


def test_another_page_is_made_when_it_is_first_asked_for(raw: Path) -> None:
    made = []

    def routes() -> list[Route]:
        made.append(True)
        return [Route("/album", lambda request: PlainTextResponse("all photos"))]

    further = [server.Further("album", "Album", routes)]
    with served({"labels": doubtful(raw)}, further) as page:
        assert 'href="/album">Album' in page.get("/labels").text and not made
        assert [page.get("/album").text for _ in range(2)] == ["all photos"] * 2
        assert made == [True] and page.get("/album/nothing").status_code == 404
        assert requests.get(f"{page.address}/album", timeout=30).status_code == 403


def test_another_page_that_cannot_be_made_says_why(raw: Path) -> None:
    def routes() -> list[Route]:
        raise DataError("The photos are gone.")

    with served({}, [server.Further("album", "Album", routes)]) as page:
        assert page.get("/").url.endswith("/album")
        assert (page.get("/album").status_code, page.get("/album").text) == (
            409, "The photos are gone.\n"
        )  # fmt: skip
