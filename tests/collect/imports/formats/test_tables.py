import json
from pathlib import Path
from typing import Any

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
    source.with_name("other.csv").write_text("x,y\n1,2\n")  # says nothing of photos
    import_photos([tmp_path / "src"], tmp_path / "out2")
    assert set(tree(tmp_path / "out2")) == {"crab/1.png"}
    source.with_name("more.tsv").write_text("path\tlabel\n3.png\tcrab\n")
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
        ("x.jsonl", "a JSON text, such as a server's error message"),
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
        ("x.csv", "a.png,crab\nb.png,crab\n", DataError, "100.0 % name photos that are not there"),
        ("x.csv", "a,crab\nb,crab\n", DataError, "it has 'a' and 'crab'. Name the column"),
        ("x.json", '{"a": {"b": 1}}', DataError, "no table: a list of objects, or an"),
        ("x.json", "[", DataError, "is no table that can be read"),
        ("x.xlsx", "PK", DataError, "is a spreadsheet. Save it as CSV"),
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


# --- what tables are like -----------------------------------------------------------------------


def imported(folder: Path, source: Path, **choices: Any) -> dict[str, bytes]:
    import_photos([source], folder / "out", reading=Reading(**choices))
    return tree(folder / "out")


IDS = {f"breed/train/{n}f{n}.png": photo(n) for n in range(4)}


def test_ids_are_found_by_stem_below_the_table(tmp_path: Path) -> None:
    make_tree(tmp_path, IDS)
    rows = "".join(f"{n}f{n},{'boxer' if n % 2 else 'collie'}\n" for n in range(4))
    (tmp_path / "breed/labels.csv").write_text("id,breed\n" + rows)
    expected = {f"{'boxer' if n % 2 else 'collie'}/{n}f{n}.png": photo(n) for n in range(4)}
    assert imported(tmp_path, tmp_path / "breed/labels.csv") == expected
    (tmp_path / "labels.csv").write_text("code,kind\n" + rows)
    moved = imported(
        tmp_path / "moved",
        tmp_path / "labels.csv",
        path_column="code",
        label_column="kind",
        root=tmp_path / "breed",
        path_template="train/{code}.png",
    )
    assert moved == expected


def test_numbers_are_ids(tmp_path: Path) -> None:
    make_tree(tmp_path, {"x/0017.png": photo(1), "x/0018.png": photo(2)})
    (tmp_path / "t.jsonl").write_text(
        '{"image_id": "0017", "label": "a"}\n{"image_id": "0018.jpg", "label": "b"}\n'
    )
    assert set(imported(tmp_path, tmp_path / "t.jsonl")) == {"a/0017.png", "b/0018.png"}


def test_a_column_per_class(tmp_path: Path) -> None:
    make_tree(tmp_path / "isic", {f"I{n}.png": photo(n) for n in range(5)})
    (tmp_path / "isic/truth.csv").write_text(
        "image,MEL,NV\nI0,1.0,0.0\nI1,0.0,1.0\nI2,0.0,0.0\nI3,1.0,1.0\nI4,1,0\n"
    )
    result = import_photos([tmp_path / "isic/truth.csv"], tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {"MEL/I0.png", "NV/I1.png", "MEL/I4.png"}
    assert [item.reason for item in result.rejected] == [
        "none of its classes is 1",
        "it has several labels, 'MEL' and 'NV'; see --multi",
    ]
    first = imported(tmp_path / "first", tmp_path / "isic/truth.csv", multi="first")
    assert "MEL/I3.png" in first


def test_a_table_in_each_part(tmp_path: Path) -> None:
    files = {
        f"rf/{part}/{name}{n}.png": photo(n + 10 * k)
        for k, part in enumerate(("train", "valid", "test"))
        for n, name in enumerate(("cat", "dog"))
    }
    make_tree(tmp_path, files)
    for part in ("train", "valid", "test"):
        (tmp_path / f"rf/{part}/_classes.csv").write_text(
            "filename, cat, dog\ncat0.png, 1, 0\ndog1.png, 0, 1\n"
        )
    result = import_photos([tmp_path / "rf"], tmp_path / "out")
    assert result.classes == {"cat": 3, "dog": 3}
    assert any("mixed here" in note for note in result.notes)
    kept = import_photos([tmp_path / "rf"], tmp_path / "ds", reading=Reading(keep_split=True))
    assert kept.parts == {"train": 2, "val": 2, "test": 2}


def test_a_split_column_is_kept_or_its_mixing_is_said(tmp_path: Path) -> None:
    text = "filename,label,split\nphotos/1.png,crab,train\n3.png,crab,test\n"
    source = table(tmp_path / "src", "x.csv", text)
    result = import_photos([source], tmp_path / "out")
    assert result.notes and "'test' and 'train' of" in result.notes[0]
    kept = import_photos([source], tmp_path / "ds", reading=Reading(keep_split=True))
    assert set(tree(tmp_path / "ds")) == {"train/crab/1.png", "test/crab/3.png"}
    assert kept.parts == {"train": 1, "test": 1}


def test_paths_of_another_machine_are_found_by_their_tail(tmp_path: Path) -> None:
    make_tree(tmp_path / "src", {"a/x/1.png": photo(1), "b/x/1.png": photo(2)})
    text = "path,label\nC:\\data\\b\\x\\1.png,crab\n/home/me/a/x/1.PNG,lobster\n"
    (tmp_path / "src/t.csv").write_text(text)
    assert imported(tmp_path, tmp_path / "src/t.csv") == {
        "crab/1.png": photo(2),
        "lobster/1.png": photo(1),
    }


def test_two_files_of_a_name_are_said(tmp_path: Path) -> None:
    make_tree(tmp_path / "src", {"a/1.png": photo(1), "b/1.png": photo(2), "2.png": photo(3)})
    (tmp_path / "src/t.csv").write_text("path,label\n1.png,crab\n2.png,crab\n")
    result = import_photos([tmp_path / "src/t.csv"], tmp_path / "out")
    assert result.added == 1
    assert "2 files have that name, 'a/1.png' and 'b/1.png'" in result.rejected[0].reason


def test_tables_are_joined_by_the_column_they_share(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "x.csv", "image,class_id\nphotos/1.png,7\n3.png,8\n")
    names = tmp_path / "src/names.csv"
    names.write_text("class_id,class_name\n7,crab\n8,lobster\n")
    assert set(imported(tmp_path, source, join=(names,))) == {"crab/1.png", "lobster/3.png"}
    names.write_text("number,class_name\n70,crab\n")
    with pytest.raises(WrongUsage, match="has no column in common with"):
        imported(tmp_path, source, join=(names,))


def test_excels_own_first_line_and_empty_rows(tmp_path: Path) -> None:
    text = "sep=;\r\nfilename;class\r\nphotos/1.png;Käse\r\n;\r\n3.png;Brot\r\n;\r\n"
    source = table(tmp_path / "src", "x.csv", text, "cp1252")
    assert set(imported(tmp_path, source)) == {"Käse/1.png", "Brot/3.png"}


def test_several_tags_in_a_cell_are_said(tmp_path: Path) -> None:
    text = "path,tags\nphotos/1.png,crab haze\n3.png,crab\n"
    source = table(tmp_path / "src", "x.csv", text)
    result = import_photos([source], tmp_path / "out")
    assert result.added == 1
    assert result.rejected[0].reason == "it has several labels, 'crab' and 'haze'; see --multi"


def test_a_table_without_its_photos_fails(tmp_path: Path) -> None:
    text = "path,label\n3.png,crab\n" + "".join(f"gone{n}.png,crab\n" for n in range(20))
    source = table(tmp_path / "src", "x.csv", text)
    with pytest.raises(DataError, match=r"Of the 21 rows .* 95.2 % name photos that are not there"):
        import_photos([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbered_folders_with_a_table_are_read_by_the_table(tmp_path: Path) -> None:
    make_tree(tmp_path / "h", {f"images_part_{n % 2}/I{n}.png": photo(n) for n in range(4)})
    rows = "".join(f"I{n},{'mel' if n < 2 else 'nv'}\n" for n in range(4))
    (tmp_path / "h/metadata.csv").write_text("image_id,dx\n" + rows)
    assert set(imported(tmp_path, tmp_path / "h")) == {
        "mel/I0.png",
        "mel/I1.png",
        "nv/I2.png",
        "nv/I3.png",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "photos/1.png,crab\nphotos/ü 2.png,lobster\n3.png,crab\n"),
        ("x.txt", "photos/1.png crab\nphotos/ü 2.png lobster\n\n3.png crab\n"),
        ("x.json", '{"photos/1.png": "crab", "ü 2.png": "lobster", "3.png": "crab"}'),
        ("x.json", json.dumps([{"file": "photos/1.png", "label": "crab"},
                               {"file": "photos/ü 2.png", "label": "lobster"},
                               {"file": "3", "label": "crab"}])),
    ],
)  # fmt: skip
def test_tables_without_names_of_columns(tmp_path: Path, name: str, text: str) -> None:
    assert imported(tmp_path, table(tmp_path / "src", name, text)) == PLACED


def test_lists_of_paths_and_of_labels_are_joined_by_their_numbers(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "images.txt", "1 photos/1.png\n2 photos/ü 2.png\n3 3.png\n")
    labels = tmp_path / "src/labels.txt"
    labels.write_text("1 crab\n2 lobster\n3 crab\n")
    assert imported(tmp_path, source, join=(labels,)) == PLACED


# --- several lists of one dataset ---------------------------------------------------------------

BIRDS = ("001.Albatross", "002.Auk", "003.Bunting")
CUB = {
    "images.txt": "".join(f"{n} {BIRDS[n // 4]}/a_{n}.png\n" for n in range(12)),
    "image_class_labels.txt": "".join(f"{n} {n // 4 + 1}\n" for n in range(12)),
    "train_test_split.txt": "".join(f"{n} {int(n % 4 > 0)}\n" for n in range(12)),
    "classes.txt": "".join(f"{n} {name}\n" for n, name in enumerate(BIRDS, 1)),
}


@pytest.mark.parametrize("main", ["images.txt", "image_class_labels.txt", "train_test_split.txt"])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_lists_of_cub_are_joined_in_any_order(
    tmp_path: Path, main: str, backwards: bool
) -> None:
    photos = {f"images/{BIRDS[n // 4]}/a_{n}.png": photo(n) for n in range(12)}
    folder = make_tree(tmp_path / "cub", {**photos, **{k: v.encode() for k, v in CUB.items()}})
    others = [folder / name for name in CUB if name != main]
    join = tuple(others[::-1] if backwards else others)
    placed = imported(tmp_path, folder / main, join=join, keep_split=True)
    assert set(placed) == {
        f"{'train' if n % 4 else 'test'}/{BIRDS[n // 4]}/a_{n}.png" for n in range(12)
    }


VAL = {f"val/V_{n:04}.png": photo(n) for n in range(1, 9)}
TRUTH = [3, 1, 2, 3, 1, 2, 1, 3]
FOXES = {n: {1: "kit_fox", 2: "setter", 3: "husky"}[label] for n, label in enumerate(TRUTH, 1)}
OF_NUMBERS = "n02119789 1 kit_fox\nn02100735 2 setter\nn02110185 3 husky\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map_clsloc.txt", OF_NUMBERS),
        ("words.txt", "n02119789 kit_fox\nn02100735 setter\nn02110185 husky\n"),
        ("names.txt", "kit_fox\nsetter\nhusky\n"),
        ("meta.csv", "ILSVRC2012_ID,WNID,words\n3,n3,husky\n1,n1,kit_fox\n2,n2,setter\n"),
    ],
)
def test_labels_alone_are_those_of_the_photos_in_their_order(
    tmp_path: Path, name: str, text: str
) -> None:
    folder = make_tree(tmp_path / "src", VAL)
    truth = folder / "devkit/truth.txt"
    truth.parent.mkdir()
    truth.write_text("".join(f"{label}\n" for label in TRUTH))
    (folder / "devkit" / name).write_text(text)
    reading = Reading(root=folder / "val", join=(folder / "devkit" / name,))
    result = import_photos([truth], tmp_path / "out", reading=reading)
    assert set(tree(tmp_path / "out")) == {f"{c}/V_{n:04}.png" for n, c in FOXES.items()}
    said = " ".join(result.notes)
    assert "'3' is that of 'V_0001.png'" in said and f"{name}'" in said


@pytest.mark.parametrize(
    ("text", "names", "sentence"),
    [
        ("1\n2\n", "", "has 2 labels without photos or ids, and below .* there are 8 photos"),
        ("1\n" * 7 + "5\n", "a\nb\n", "names 2 classes, and the labels of .* from 1 to 5"),
        ("1\n" * 7 + "2\n", "a\nb\nc\n", "they may count from 0 or from 1. Give .* the number"),
        (
            "1\n" * 7 + "1000\n",
            "".join(f"n{n:08} word{n}\n" for n in range(20000, 21000)),
            "in the order of WordNet's ids, and the labels .* whose order is another one",
        ),
    ],
)
def test_labels_alone_that_do_not_fit_are_a_sentence(
    tmp_path: Path, text: str, names: str, sentence: str
) -> None:
    folder = make_tree(tmp_path / "src", VAL)
    (folder / "truth.txt").write_text(text)
    (folder / "names.txt").write_text(names)
    join = (folder / "names.txt",) if names else ()
    with pytest.raises(DataError, match=sentence):
        import_photos([folder / "truth.txt"], tmp_path / "out", reading=Reading(join=join))


def test_photos_with_two_orders_take_no_labels_alone(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "src", {f"p{n}.png": photo(n) for n in range(1, 12)})
    (folder / "truth.txt").write_text("1\n" * 11)
    with pytest.raises(DataError, match=r"two orders: by their names 'p1.png', 'p10.png'"):
        import_photos([folder / "truth.txt"], tmp_path / "out")


def test_classes_of_one_name_stay_two(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "x.csv", "path,label\nphotos/1.png,7\n3.png,8\n")
    names = tmp_path / "src/names.csv"
    names.write_text("id,name\n7,crane\n8,crane\n")
    assert set(imported(tmp_path, source, join=(names,))) == {"crane 7/1.png", "crane 8/3.png"}


def test_a_class_without_a_name_is_listed(tmp_path: Path) -> None:
    source = table(tmp_path / "src", "x.csv", "path,label\nphotos/1.png,7\n3.png,9\n")
    names = tmp_path / "src/names.txt"
    names.write_text("7 crab\n8 lobster\n")
    result = import_photos([source], tmp_path / "out", reading=Reading(join=(names,)))
    assert set(tree(tmp_path / "out")) == {"crab/1.png"}
    assert result.rejected[0].reason == f"its class 9 is not in '{names}'"


def test_options_of_tables_are_refused_for_class_folders(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1), "b/2.png": photo(2)})
    with pytest.raises(WrongUsage, match=r"--join names.csv is for tables; .* holds class folders"):
        import_photos([source], tmp_path / "out", reading=Reading(join=(Path("names.csv"),)))


PETS = {f"images/{breed}_{n}.png": photo(n + 10 * i)
        for i, breed in enumerate(("pug", "boxer")) for n in range(3)}  # fmt: skip


@pytest.mark.parametrize("head", ["", "#Image CLASS-ID SPECIES\n# of pets\n"])
def test_a_list_with_blanks_between_its_columns_is_a_table(tmp_path: Path, head: str) -> None:
    folder = make_tree(tmp_path / "pets", PETS)
    names = [Path(name).stem for name in PETS]
    (folder / "list.txt").write_text(head + "".join(f"{n} {'pb'.find(n[0])} 7\n" for n in names))
    (folder / "two.txt").write_text(head + "".join(f"{n} {n.split('_')[0]}\n" for n in names))
    with pytest.raises(DataError, match=r"labels \(--label-column\): it has '1', '2' and '3'"):
        imported(tmp_path, folder / "list.txt")
    assert len(imported(tmp_path, folder / "list.txt", label_column="2")) == 6
    result = import_photos([folder / "two.txt"], tmp_path / "b", reading=Reading())
    assert result.classes == {"boxer": 3, "pug": 3} and not result.rejected


def test_a_list_of_photos_is_no_list_of_labels(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "food", {f"pie/{n}.png": photo(n) for n in range(5)})
    (folder / "train.txt").write_text("".join(f"pie/{n}\n" for n in range(5)))
    with pytest.raises(DataError, match=r"names photos, such as 'pie/0', and no labels"):
        imported(tmp_path, folder / "train.txt")
    (folder / "notes.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    with pytest.raises(DataError, match="no column that looks like"):
        imported(tmp_path, folder / "notes.txt")


def test_a_file_of_matlab_is_named(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "x", {"1.png": photo(1), "labels.mat": b"MATLAB 5.0 MAT-file"})
    with pytest.raises(DataError, match=r"is a file of MATLAB\. Save its labels as text"):
        imported(tmp_path, folder / "labels.mat")


def test_the_labels_that_the_user_names_get_their_names(tmp_path: Path) -> None:
    text = "photos/1.png\tn1\t0\t9\n3.png\tn2\t0\t9\n"
    source = table(tmp_path / "src", "val_annotations.txt", text)
    words = tmp_path / "src/words.txt"
    words.write_text("n1\tcrab, the\nn2\tlobster\n")
    placed = imported(tmp_path, source, label_column="2", join=(words,))
    assert set(placed) == {"crab, the/1.png", "lobster/3.png"}


@pytest.mark.parametrize(
    ("name", "yes", "no", "test_means"),
    [
        ("is_train", "1", "0", "no"),
        ("isTest", "TRUE", "FALSE", "yes"),
        ("training", "y", "n", "no"),
    ],
)
def test_a_column_of_yes_and_no_is_a_split(
    tmp_path: Path, name: str, yes: str, no: str, test_means: str
) -> None:
    folder = make_tree(tmp_path / "src", {f"{n}.png": photo(n) for n in range(8)})
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{yes if n < 4 else no}\n" for n in range(8))
    (folder / "t.csv").write_text(f"image,label,{name}\n{rows}")
    tested = range(4) if test_means == "yes" else range(4, 8)
    placed = imported(tmp_path, folder / "t.csv", keep_split=True)
    assert set(placed) == {
        f"{'test' if n in tested else 'train'}/{'ab'[n % 2]}/{n}.png" for n in range(8)
    }
    result = import_photos([folder / "t.csv"], tmp_path / "mixed")
    assert "are mixed here; --keep-split keeps them apart" in " ".join(result.notes)


def test_a_train_among_the_classes_is_no_part(tmp_path: Path) -> None:
    text = "image,bus,train\nphotos/1.png,1,0\n3.png,0,1\n"
    source = table(tmp_path / "src", "x.csv", text)
    assert set(imported(tmp_path, source)) == {"bus/1.png", "train/3.png"}


def test_an_object_of_numbers_and_names_names_the_classes(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "src", {f"imgs/{n:03}.png": photo(n) for n in range(6)})
    rows = "".join(f"{n:03},{n % 2}\n" for n in range(6))
    (folder / "labels.csv").write_text(f"id,label\n{rows}")
    (folder / "classes.json").write_text('{"0": "cat", "1": "dog"}')
    placed = imported(tmp_path, folder / "labels.csv", join=(folder / "classes.json",))
    assert set(placed) == {f"{('cat', 'dog')[n % 2]}/{n:03}.png" for n in range(6)}
