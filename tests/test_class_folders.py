"""What a tree means: the trees of published datasets, and trees that can mean two things."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.class_folders import ClassFolders, find_class_folders
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import Folder, Levels


def counts(*trees: str) -> Counter[Folder]:
    """Photos per folder, of "around/{one,two}=20": so many in each; 10 where nothing is said."""
    photos: Counter[Folder] = Counter()
    for tree in trees:
        path, _, size = tree.partition("=")
        for folder in product(*map(_choices, path.split("/") if path else [])):
            photos[folder] += int(size or 10)
    return photos


def _choices(step: str) -> list[str]:
    return step.strip("{}").split(",")


def found_in(*trees: str, levels: Levels | None = None) -> ClassFolders:
    return find_class_folders(counts(*trees), "src", levels or Levels())


def parts_of(found: ClassFolders) -> dict[str, str]:
    return {"/".join(folder): part for folder, part in found.parts.items()}


@pytest.mark.parametrize(
    ("trees", "classes", "around"),
    [
        (["{cat,dog}"], ["cat", "dog"], [""]),
        (["{0,1,2,3,4,5,6,7,8,9}"], list("0123456789"), [""]),
        (["wrap/photos/{cat,dog}"], ["cat", "dog"], ["wrap/photos"]),
        (["{cat,dog}", "=2"], ["cat", "dog"], [""]),
        (["cat/{2023,2024}", "dog/{2023,2024}"], ["cat", "dog"], [""]),
        (["run/{person01,person02}", "walk/{person01,person02}"], ["run", "walk"], [""]),
        (["cat/images", "dog/images"], ["cat", "dog"], [""]),
        (["birds/{owl,eagle}", "mammals/{cat,dog}"], ["birds", "mammals"], [""]),
        (["{train,tram,bus}"], ["bus", "train", "tram"], [""]),
        (["train/{steam,diesel}", "{tram,bus}"], ["bus", "train", "tram"], [""]),
        (["repo-main/dataset-resized/{glass,metal}=400", "repo-main/images=4"],
         ["glass", "metal"], ["repo-main/dataset-resized"]),
        (["repo/Dataset/{a,b}=400", "repo/Examples/{a,b}=5"], ["a", "b"], ["repo/Dataset"]),
        (["images/{a,b}", "masks/{a,b}"], ["a", "b"], ["images"]),
        (["oxford/images/{a,b}", "oxford/annotations/trimaps=20"], ["a", "b"], ["oxford/images"]),
        (["site1/{cat,dog}", "site2/{cat,dog}"], ["cat", "dog"], ["site1", "site2"]),
        (["{yes,no}", "brain_tumor_dataset/{yes,no}"], ["no", "yes"], [""]),
        (["flowers/{rose,tulip,lily}", "flowers/flowers/{rose,tulip,lily}"],
         ["lily", "rose", "tulip"], ["flowers"]),
        (["CUB/images/{a,b}", "CUB/segmentations/{a,b}"], ["a", "b"], ["CUB/images"]),
        (["fold1/{a,b}", "fold2/{a,b}", "fold3/{a,b}"], ["a", "b"], ["fold1", "fold2", "fold3"]),
    ],
)  # fmt: skip
def test_class_folders_are_found(trees: list[str], classes: list[str], around: list[str]) -> None:
    found = found_in(*trees)
    assert found.labels == classes and found.parts == {}
    assert sorted({"/".join(folder[:-1]) for folder in found.places}) == around


@pytest.mark.parametrize(
    ("trees", "sign"),
    [
        (["{cat,dog}"], ""),
        (["{train,test}/{cat,dog}"], ""),
        (["wrap/{cat,dog}"], "Classes: the 2 folders in 'wrap' ('cat' and 'dog')."),
        (["r/data/{a,b}=400", "r/docs=4"],
         "Classes: the 2 folders in 'r/data' ('a' and 'b'). In no class folder: 4 photos in "
         "'r/docs'."),
        (["{Training,Testing}/{a,b}"],
         "Parts, by the names of folders: 'Testing' is test, 'Training' is train."),
        (["train/{a,b}", "test=5"], "In no class folder: 5 photos in 'test'."),
        (["{site1,site2}/{a,b}"],
         "Classes: 'a' and 'b', folders that 'site1' and 'site2' have in common."),
        (["birds/{owl,eagle}", "mammals/{cat,dog}"],
         "Classes: 'birds' and 'mammals', each with its sub-folders ('cat', 'dog', 'eagle' and 1 "
         "more). If those are the classes: --classes-at 2."),
    ],
)  # fmt: skip
def test_what_is_taken_is_said_unless_it_is_expected(trees: list[str], sign: str) -> None:
    assert found_in(*trees).sign == sign


@pytest.mark.parametrize(
    ("trees", "parts"),
    [
        (["train/{a,b}", "test/{a,b}"], {"train": "train", "test": "test"}),
        (["x/Training/{a,b}", "x/Testing/{a,b}"], {"x/Training": "train", "x/Testing": "test"}),
        (["train/{a,b}", "valid/{a,b}", "test/a"],
         {"train": "train", "valid": "val", "test": "test"}),
        (["seg_train/seg_train/{a,b}", "seg_test/seg_test/{a,b}", "seg_pred/seg_pred"],
         {"seg_train/seg_train": "train", "seg_test/seg_test": "test"}),
        (["seg_train/seg_train/{a,b}", "seg_test/{a,b}"],
         {"seg_train/seg_train": "train", "seg_test": "test"}),
        (["d/training_set/training_set/{a,b}", "d/test_set/test_set/{a,b}"],
         {"d/training_set/training_set": "train", "d/test_set/test_set": "test"}),
        (["tiny/train/{n01,n02}/images", "tiny/val/images", "tiny/test/images"],
         {"tiny/train": "train"}),
        (["bottle/train/{good,bad}", "bottle/test/{good,bad}", "bottle/ground_truth/bad"],
         {"bottle/train": "train", "bottle/test": "test"}),
        (["train_val/{a,b}", "test_images/{a,b}"],
         {"train_val": "train", "test_images": "test"}),
        (["imgs/train/{c0,c1}", "imgs/test=5"], {"imgs/train": "train"}),
        (["Train/{00000,00001,00002}", "Test=12"], {"Train": "train"}),
        (["I/Data/train/{n01,n02}", "I/Data/val=50", "I/Data/test=50"], {"I/Data/train": "train"}),
        (["z/{train,test}/{a,b}", "z/z/{train,test}/{a,b}"],
         {"z/train": "train", "z/test": "test"}),
        (["train/{a,b}", "test/{a,b}", "extra/{a,b}=5"], {"train": "train", "test": "test"}),
        (["cat/{train,test}", "dog/{train,test}"],
         {"cat/train": "train", "cat/test": "test", "dog/train": "train", "dog/test": "test"}),
        (["r/Dataset/train/{a,b}=400", "r/Dataset/test/{a,b}=40", "r/docs/img=4", "r=1"],
         {"r/Dataset/train": "train", "r/Dataset/test": "test"}),
    ],
)  # fmt: skip
def test_parts_go_by_any_usual_name(trees: list[str], parts: dict[str, str]) -> None:
    assert parts_of(found_in(*trees)) == parts


@pytest.mark.parametrize(
    ("trees", "options"),
    [
        (["cat/{indoor,outdoor}", "dog/{indoor,outdoor}"], ["--classes-at 1", "--classes-at 2"]),
        (["{c0,c1,c2}/{s0,s1,s2}"], ["--classes-at 1", "--classes-at 2"]),
        (["kruger/{cat,dog}", "serengeti/{cat,dog}"], ["--classes-at 1", "--classes-at 2"]),
        (["pv/color/{apple,corn}", "pv/grayscale/{apple,corn}", "pv/segmented/{apple,corn}"],
         ["--classes-at 'pv/color/*'"]),
        (["r/plants/{rose,lily}=400", "r/screens=10"], ["--classes-at 2", "--classes-at 3"]),
    ],
)  # fmt: skip
def test_a_tree_that_can_mean_two_things_is_asked_about(
    trees: list[str], options: list[str]
) -> None:
    with pytest.raises(WrongUsage, match="can be read in more than one way") as end:
        found_in(*trees)
    for option in options:
        assert option in str(end.value)


def test_the_user_decides_by_level_or_pattern() -> None:
    variants = ["pv/color/{apple,corn}", "pv/grayscale/{apple,corn}"]
    found = found_in(*variants, levels=Levels("pv/color/*"))
    assert found.labels == ["apple", "corn"] and found.place(("pv", "grayscale", "corn")) is None
    assert found_in(*variants, levels=Levels("3")).labels == ["apple", "corn"]
    assert found_in(*variants, levels=Levels("2")).labels == ["color", "grayscale"]
    for wrong in ("9", "pv/colour/*", "0"):
        with pytest.raises(WrongUsage, match=f"--classes-at {wrong[:3]}.* which holds 'pv'"):
            found_in(*variants, levels=Levels(wrong))


def test_the_user_says_which_folders_are_parts() -> None:
    trees = ["learn/{a,b}", "exam/{a,b}"]
    levels = Levels.of(parts=["learn=train,exam=test"])
    assert parts_of(found_in(*trees, levels=levels)) == {"learn": "train", "exam": "test"}
    assert levels == Levels.of(None, {"learn": "train", "exam": "test"})
    mixed = found_in("train/{a,b}", "test/{a,b}", levels=Levels.of(parts=["none"]))
    assert mixed.labels == ["a", "b"] and mixed.parts == {}
    with pytest.raises(WrongUsage, match="--parts learn=exam: a part is 'train', 'val' and 'test'"):
        Levels.of(parts=["learn=exam"])
    with pytest.raises(WrongUsage, match="--parts learn: give the folder's name and its part"):
        Levels.of(parts=["learn"])


def test_parts_without_class_folders_are_said() -> None:
    with pytest.raises(DataError, match="photos in 'test' and 'train', but no class folders"):
        found_in("{train,test}")
    with pytest.raises(DataError, match=r"If those are the classes: --classes-at 2\."):
        found_in("wrap/{train,test}")
    with pytest.raises(DataError, match="holds photos but no class folders"):
        found_in("=5")


def test_shards_of_a_downloader_are_no_classes() -> None:
    photos = counts("out/{00000,00001,00002}")
    with pytest.raises(DataError, match=r"shards of a bulk downloader.*--classes-at 2"):
        find_class_folders(photos, "src", sidecars=photos)
    assert find_class_folders(photos, "src").labels == ["00000", "00001", "00002"]


def test_masks_inside_a_class_folder_are_no_photos_of_it() -> None:
    found = found_in("cat/{images,masks}", "dog/{images,masks}")
    assert found.labels == ["cat", "dog"]
    place = found.place(("cat", "images"))
    assert place is not None and place.label == "cat"
    assert found.place(("cat", "masks")) is None
    assert "20 photos in" in found.sign


def test_names_that_look_the_same_are_one_class() -> None:
    found = found_in("{cafe\u0301,dog}", "{caf\u00e9}")
    assert found.labels == ["caf\u00e9", "dog"]
    assert len(found.places) == 3


names = st.text("abcdefgh", min_size=1, max_size=4)


@given(st.dictionaries(st.lists(names, max_size=4).map(tuple), st.integers(1, 50), max_size=12))
def test_any_tree_is_read_or_asked_about_or_refused(photos: dict[Folder, int]) -> None:
    try:
        found = find_class_folders(photos, "src")
    except (DataError, WrongUsage) as error:
        assert str(error).startswith("'src' ")
        return
    folders = list(found.places)
    assert not any(
        one != other and one == other[: len(one)] for one in folders for other in folders
    )
    assert sum(n for folder, n in photos.items() if found.place(folder)) > 0
    assert found == find_class_folders(dict(reversed(photos.items())), "src")
