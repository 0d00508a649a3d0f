from pathlib import Path

import pytest

from imgcli.collect.scrape.providers import urls as module
from imgcli.collect.scrape.providers.urls import Urls
from imgcli.collect.scrape.search_result import Search, SearchResult
from imgcli.errors import DataError

CSV = "url,label\nhttps://a.test/1.jpg,cat\nhttps://b.test/2.jpg,dog\nhttps://a.test/3.jpg,cat\n"


def write(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def results(urls: Urls) -> dict[str, list[SearchResult]]:
    return {search.label: list(urls.page(search, "").results) for search in urls.searches}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", CSV),
        ("t.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("t.csv", CSV.replace("url,label", " URL , Label ")),
        ("t.tsv", CSV.replace(",", "\t")),
        ("t.txt", CSV.replace(",", "\t")),
        (
            "t.jsonl",
            '{"url": "https://a.test/1.jpg", "label": "cat"}\n\n'
            '{"label": "dog", "url": "https://b.test/2.jpg"}\n'
            '{"url": "https://a.test/3.jpg", "label": "cat", "more": [1]}\n',
        ),
    ],
)
def test_tables_are_read_in_every_form(name: str, text: str, tmp_path: Path) -> None:
    urls = Urls([write(tmp_path, text, name)])
    assert urls.counts() == {"cat": 2, "dog": 1}
    found = {label: [o.file_url for o in some] for label, some in results(urls).items()}
    assert found == {
        "cat": ["https://a.test/1.jpg", "https://a.test/3.jpg"],
        "dog": ["https://b.test/2.jpg"],
    }


def test_further_columns_are_used(tmp_path: Path) -> None:
    header = "label,url,license,license_version,creator,title,other\n"
    row = 'cat,https://a.test/1.jpg,by-sa,3.0,"Doe, Jane",Cat,x\n'
    (result,) = results(Urls([write(tmp_path, header + row)]))["cat"]
    assert result.licence is not None and result.licence.name == "CC BY-SA 3.0"
    assert (result.creator, result.title) == ("Doe, Jane", "Cat")


def test_long_tables_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    rows = "".join(f"https://a.test/{n}.jpg,cat\n" for n in range(5))
    urls = Urls([write(tmp_path, "url,label\n" + rows)])
    (search,) = urls.searches
    pages, cursor = [], ""
    while cursor is not None:
        page = urls.page(search, cursor)
        pages.append(len(page.results))
        cursor = page.cursor
    assert pages == [2, 2, 1]


def test_a_changed_table_is_another_search(tmp_path: Path) -> None:
    before = Urls([write(tmp_path, CSV)]).searches
    after = Urls([write(tmp_path, CSV + "https://a.test/4.jpg,cat\n")]).searches
    assert {search.label for search in before} == {search.label for search in after}
    assert not set(before) & set(after)


def test_several_tables_are_one(tmp_path: Path) -> None:
    other = write(tmp_path, "url,label\nhttps://c.test/1.jpg,cat\n", "more.csv")
    urls = Urls([write(tmp_path, CSV), other])
    assert urls.counts() == {"cat": 3, "dog": 1}
    assert [search.label for search in urls.searches] == ["cat", "dog", "cat"]
    assert urls.address(Search("cat", "x"), "") is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "where,label\nx,cat\n",
            r"holds no row with url and label.*: its columns are 'where' and",
        ),
        (
            "https://a.test/1.jpg,cat\nhttps://a.test/2.jpg,cat\n",
            r"its columns are 'https://a\.test/1\.jpg' and 'cat'\. Name them url and label",
        ),
        ("url,label\n", "holds no row with url and label"),
        ("", "each photo needs: it has no rows"),
        ("url,label\nhttps://a.test/1.jpg\n,cat\n", "holds no row with url and label"),
        ('{"url": "https://a.test/1.jpg"}', "holds no row with url and label"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        Urls([write(tmp_path, table)])


def test_rows_that_lack_something_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, CSV + "https://a.test/4.jpg\n\n,cat\n")
    urls = Urls([path])
    assert urls.counts() == {"cat": 2, "dog": 1}
    assert [(r.path, r.reason) for r in urls.rejected] == [
        (f"{path}:5", "has no label"),
        (f"{path}:7", "has no url"),
    ]


def test_a_row_that_is_no_json_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, '{"url": "u", "label": "a"}\n[1]\n{', "t.jsonl")
    urls = Urls([path])
    assert urls.counts() == {"a": 1}
    assert [r.path for r in urls.rejected] == [f"{path}:2", f"{path}:3"]


@pytest.mark.parametrize("columns", ["image_url,class", "link,species", "path,label"])
def test_what_import_sends_here_is_read(columns: str, tmp_path: Path) -> None:
    """`imgcli import` names `imgcli scrape urls` for any table of web addresses."""
    table = f"{columns}\nhttps://a.test/1.jpg,cat\n"
    assert Urls([write(tmp_path, table)]).counts() == {"cat": 1}


def test_the_columns_called_url_and_label_go_first(tmp_path: Path) -> None:
    table = "path,class_name,url,label\n1.jpg,x,https://a.test/1.jpg,cat\n"
    (result,) = results(Urls([write(tmp_path, table)]))["cat"]
    assert result.file_url == "https://a.test/1.jpg"


def test_a_missing_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no '.*none\.csv'"):
        Urls([tmp_path / "none.csv"])
