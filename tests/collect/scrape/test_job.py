from pathlib import Path

import pytest

from imgcli.collect.scrape.job import make_job
from imgcli.collect.scrape.search_result import Job, Search, Terms
from imgcli.errors import DataError, ImgcliError, WrongUsage
from imgcli.http.client import Client


def order(
    source: str,
    *words: str,
    labels: Path | None = None,
    per_class: int | None = None,
    endpoint: str | None = None,
) -> Job:
    with Client() as client:
        return make_job(
            *(source, words, labels, per_class),
            client=client,
            terms=Terms(),
            endpoint=endpoint,
            environ={},
        )


def test_a_label_is_its_own_query_unless_another_is_given() -> None:
    made = order("openverse", "night", "street=street photography", "night", "a b=c=d")
    assert made.searches == (
        Search("night", "night"),
        Search("street", "street photography"),
        Search("a b", "c=d"),
    )
    assert made.goals == {"night": 100, "street": 100, "a b": 100}


def test_a_label_may_be_searched_for_in_several_ways() -> None:
    made = order("wikimedia", "owl=Category:Owls", "owl=tawny owl", per_class=7)
    assert [search.query for search in made.searches] == ["Category:Owls", "tawny owl"]
    assert made.goals == {"owl": 7}


def test_labels_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufeffnight\r\n\r\nstreet = street photography\nCafe\u0301\n", "utf-8")
    made = order("openverse", "macro", labels=file)
    assert [search.label for search in made.searches] == ["macro", "night", "street", "Café"]
    assert made.searches[2].query == "street photography"


def test_a_gallery_is_given_by_its_address() -> None:
    made = order("gallery", "street=https://site.test/s?tag=street&page=1")
    assert made.searches == (Search("street", "https://site.test/s?tag=street&page=1"),)


def test_a_tables_rows_are_all_wanted(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("url,label\nhttps://a.test/1.jpg,cat\nhttps://a.test/2.jpg,cat\n,dog\n")
    assert order("urls", str(table)).goals == {"cat": 2}
    assert order("urls", labels=table).goals == {"cat": 2}
    made = order("urls", str(table), per_class=1)
    assert made.goals == {"cat": 1}
    assert [r.reason for r in made.rejected] == ["has no url"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("google", "night"), "no source 'google'. There are 'openverse', 'wikimedia', 'flickr'"),
        (("openverse",), "Name what to look for, such as: imgcli scrape openverse night"),
        (("urls",), "Name a table of url and label"),
        (("gallery",), "imgcli scrape gallery street=https://"),
        (("gallery", "https://site.test/?page=1"), "must be LABEL=URL"),
        (("gallery", "street"), "'street' must be LABEL=URL"),
        (("openverse", "=query"), "'=query' lacks a label"),
        (("openverse", "label="), "'label=' lacks a label or a query"),
        (("openverse", " "), "lacks a label"),
        (("openverse", "\udcff"), "no text in UTF-8"),
        (("flickr", "night"), "FLICKR_API_KEY is not set"),
    ],
)
def test_what_cannot_be_meant_is_said(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ImgcliError) as error:
        order(*words)
    assert said in str(error.value)


def test_options_that_cannot_be_meant_are_said(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="--per-class 0 must be at least 1"):
        order("openverse", "night", per_class=0)
    with pytest.raises(WrongUsage, match="--endpoint is for the sources with an API"):
        order("gallery", "a=https://b.test", endpoint="https://c.test")
    with pytest.raises(DataError, match=r"There is no '.*none'"):
        order("openverse", labels=tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="is empty"):
        order("openverse", labels=tmp_path / "empty")
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="no text in UTF-8"):
        order("openverse", labels=tmp_path / "latin")
