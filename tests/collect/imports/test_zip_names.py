"""Names in zips made on any Windows: the encoding that fits all names of an archive is found."""

import zipfile
from pathlib import Path

import pytest

from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.collect.imports.zip_names import encoding_of
from imgcli.collect.imports.zips import zip_entries
from imgcli.errors import WrongUsage
from tests.support.photos import photo
from tests.support.trees import tree

NAMES = {
    "cp932": ["ソース ソフト みず", "犬 猫", "りんご バナナ", "写真 風景", "東京 大阪", "花 鳥"],
    "gbk": ["苹果 香蕉", "狗 猫", "汽车 飞机 风景", "花 鸟", "我的照片", "人物 动物 建筑"],
    "big5": ["蘋果 香蕉", "汽車 飛機", "狗 貓", "風景 人物"],
    "cp949": ["사과 바나나", "고양이 개", "사진 풍경", "강아지", "꽃 나무"],
    "cp1252": ["Käse Brötchen", "café", "père forêt", "Größe Übung", "Ärger", "Ñandú"],
    "cp437": ["Käse Brötchen", "café", "père forêt", "Übung", "Größe"],
    "cp1251": ["кошка собака", "Медведь Лиса"],
    "cp866": ["кошка собака", "Медведь Лиса"],
    "utf-8": ["苹果 香蕉", "ソース", "Käse", "кошка", "crab lobster"],
}


@pytest.mark.parametrize(
    ("encoding", "classes"), [(encoding, names) for encoding in NAMES for names in NAMES[encoding]]
)
def test_the_encoding_of_names_is_found(encoding: str, classes: str) -> None:
    names = [f"photos/{name}/{n}.jpg" for name in classes.split() for n in range(3)]
    packed = [name.encode(encoding) for name in names]
    found = encoding_of(packed)
    assert [name.decode(found) for name in packed] == names


def make(path: Path, encoding: str, names: list[str]) -> Path:
    """A zip as a Windows of that code page makes it: bytes, without a flag."""

    class Info(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            return self.filename.encode(encoding), self.flag_bits & ~0x800

    with zipfile.ZipFile(path, "w") as archive:
        for n, name in enumerate(names):
            archive.writestr(Info(name), photo(n))
    return path


def test_half_a_character_is_no_slash(tmp_path: Path) -> None:
    classes = ["ソース", "ソフト", "みず"]  # ソ is 83 5C
    source = make(tmp_path / "x.zip", "cp932", [f"p/{name}/1.png" for name in classes])
    import_photos([source], tmp_path / "out")
    assert sorted(path.split("/")[0] for path in tree(tmp_path / "out")) == sorted(classes)


def test_windows_backslashes_are_slashes(tmp_path: Path) -> None:
    source = make(tmp_path / "x.zip", "cp932", ["p\\ソース\\1.png"])
    entries = list(zip_entries(source))
    assert [entry.parts for entry in entries] == [("p", "ソース", "1.png")]  # type: ignore[union-attr]


def test_the_user_may_name_the_encoding(tmp_path: Path) -> None:
    source = make(tmp_path / "x.zip", "cp850", ["ø/1.png", "a/2.png"])
    import_photos([source], tmp_path / "out", reading=Reading(encoding="cp850"))
    assert {path.split("/")[0] for path in tree(tmp_path / "out")} == {"ø", "a"}
    with pytest.raises(WrongUsage, match=r"--encoding 'klingon' is no encoding\. Name one"):
        import_photos([source], tmp_path / "out", reading=Reading(encoding="klingon"))


def test_a_guess_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "x.zip", "gbk", ["苹果/1.png", "香蕉/2.png"])
    import_photos([source], tmp_path / "out")
    assert "its names were read as GBK (gbk)" in capsys.readouterr().err
