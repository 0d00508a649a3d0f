import json
from pathlib import Path

import pytest

from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, WrongUsage
from tests.support.photos import photo
from tests.support.trees import make_tree, tree

PHOTOS = {"photos/1.png": photo(1), "photos/ü 2.png": photo(2), "3.png": photo(3)}
PLACED = {"crab/1.png": photo(1), "lobster/ü 2.png": photo(2), "crab/3.png": photo(3)}


def table(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    make_tree(folder, PHOTOS)
    (folder / name).write_text(text, encoding)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "path,label\nphotos/1.png,crab\nphotos/ü 2.png,lobster\n3.png,crab\n"),
        ("x.csv", "N;Class;File_Name\n1;crab;photos/1.png\n2;lobster;photos/ü 2.png\n3;crab;3.png"),
        ("x.tsv", "label\tfilename\ncrab\tphotos/1.png\nlobster\tphotos/ü 2.png\ncrab\t./3.png\n"),
        ("x.csv", 'image,category\nphotos\\1.png,"crab"\n"photos/ü 2.png",lobster\n3.png, crab\n'),
        (
            "x.jsonl",
            '{"file_name": "photos/1.png", "label": "crab"}\n\n'
            '{"file_name": "photos/ü 2.png", "label": "lobster"}\n'
            '{"file_name": "3.png", "label": "crab", "more": [1]}\n',
        ),
    ],
)
def test_rows_become_photos_of_classes(tmp_path: Path, name: str, text: str) -> None:
    source = table(tmp_path / "src", name, text)
    result = import_photos([source], tmp_path / "out")
    assert tree(tmp_path / "out") == PLACED
    assert result.rejected == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_table_may_be_as_excel_writes_it(tmp_path: Path, encoding: str) -> None:
    text = "path\tlabel\r\nphotos/1.png\tcrab\r\nphotos/ü 2.png\tlobster\r\n3.png\tcrab\r\n"
    import_photos([table(tmp_path / "src", "x.tsv", text, encoding)], tmp_path / "out")
    assert tree(tmp_path / "out") == PLACED


def test_a_folder_with_photos_and_a_table_is_read_by_the_table(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "metadata.csv", "file_name,label\nphotos/1.png,crab\n")
    import_photos([tmp_path / "src"], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"crab/1.png"}
    source.with_name("more.tsv").write_text("path\tlabel\n")
    with pytest.raises(WrongUsage, match=r"src' holds several tables of photos. Name one: .*csv"):
        import_photos([tmp_path / "src"], tmp_path / "out")


def test_class_folders_go_before_a_table(tmp_path: Path) -> None:
    files = {"a/1.png": photo(1), "b/2.png": photo(2), "log.csv": b"x,y\n"}
    import_photos([make_tree(tmp_path / "src", files)], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"a/1.png", "b/2.png"}


def test_absolute_paths_and_columns_by_option(tmp_path: Path) -> None:
    text = f"label,where,kind\n0,{tmp_path}/src/photos/1.png,crab\n"
    source = table(tmp_path / "src", "x.csv", text)
    reading = Reading(path_column="where", label_column="kind")
    import_photos([source], tmp_path / "out", reading=reading)
    assert set(tree(tmp_path / "out")) == {"crab/1.png"}


def test_rows_that_cannot_serve_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    rows = [
        {"path": "photos/1.png", "label": "crab"},
        {"path": "gone.png", "label": "crab"},
        {"path": "photos", "label": "crab"},
        {"path": "3.png", "label": ""},
        {"path": "3.png", "label": None},
        {"path": "3.png", "label": ["a", "b"]},
        {"path": "3.png", "label": "x" * 201},
        {"path": None, "label": "crab"},
        {"path": "a\0.png", "label": "crab"},
        {"path": "x.jsonl", "label": "crab"},
        {"path": "photos/ü 2.png", "label": 3.0},
    ]
    text = "\n".join([*map(json.dumps, rows), "[1]", "{", "[" * 100_000])
    source = table(tmp_path / "src", "x.jsonl", text)
    result = import_photos([source], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"crab/1.png", "3/ü 2.png"}
    place = f"{source.parent}/"
    assert [(r.path.removeprefix(place), r.reason) for r in result.rejected] == [
        ("gone.png", "cannot be read (No such file or directory)"),
        ("photos", "cannot be read (Is a directory)"),
        ("x.jsonl:4 (3.png)", "its label is empty"),
        ("x.jsonl:5 (3.png)", "it has no label"),
        ("x.jsonl:6 (3.png)", "its label is a list, not a word or a number"),
        ("x.jsonl:7 (3.png)", "its label has 201 characters; 200 are possible"),
        ("x.jsonl:8", "names no photo"),
        ("x.jsonl:9", "names no photo"),
        ("x.jsonl", "no JPEG, PNG, WebP, GIF, BMP or TIFF by its content"),
        ("x.jsonl:12", "not one JSON object in a line"),
        ("x.jsonl:13", "not one JSON object in a line"),
        ("x.jsonl:14", "not one JSON object in a line"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "error", "sentence"),
    [
        ("x.csv", "", DataError, "x.csv' has no rows"),
        ("x.csv", "path,label\n", DataError, "x.csv' has no rows"),
        ("x.jsonl", "nothing\n", DataError, "x.jsonl' has no rows"),
        ("x.csv", "a.png,crab\nb.png,crab\n", DataError, "it has 'a.png' and 'crab'. Name the col"),
        ("x.csv", "path,kind\n1.png,crab\n", DataError, r"looks like labels \(--label-column\): "),
        ("x.csv", "url,label\nhttp://h/1.png,a\n", DataError, "imgcli scrape urls .*/x.csv"),
        ("x.csv", "path,label\nhttps://h/1.png,a\n", DataError, "names web addresses, and import"),
        ("x.csv", 'path,label\n"' + "x" * 200_000, DataError, "is no table that can be read"),
    ],
)
def test_a_table_that_cannot_serve_is_a_sentence(
    tmp_path: Path, name: str, text: str, error: type[Exception], sentence: str
) -> None:
    source = table(tmp_path / "src", name, text)
    with pytest.raises(error, match=sentence):
        import_photos([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_fit_the_table_are_refused(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "x.csv", "path,label\nphotos/1.png,crab\n")
    with pytest.raises(WrongUsage, match=r"--label-column 'kind' is no column of '.*x.csv': it ha"):
        import_photos([source], tmp_path / "out", reading=Reading(label_column="kind"))
    with pytest.raises(WrongUsage, match="--label-from is for photos; the table"):
        import_photos([source], tmp_path / "out", reading=Reading(label_from="(x)"))
