import pytest

from imgcli.collect.scrape.licences import Licence, attribution, licence, licence_codes
from imgcli.errors import WrongUsage


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (("by-sa", "2.0"), "CC BY-SA 2.0"),
        (("BY", None), "CC BY"),
        (("cc-by-nc-nd-3.0",), "CC BY-NC-ND 3.0"),
        (("CC BY-SA 4.0",), "CC BY-SA 4.0"),
        (("cc by 3.0 de",), "cc by 3.0 de"),
        (("cc0",), "CC0 1.0"),
        (("CC0 1.0",), "CC0 1.0"),
        (("Public domain",), "Public domain"),
        (("pdm", "1.0"), "Public domain"),
        (("GFDL 1.2",), "GFDL 1.2"),
        ((None, None, "https://creativecommons.org/licenses/by/4.0/deed.de"), "CC BY 4.0"),
        ((None, None, "http://creativecommons.org/publicdomain/zero/1.0/"), "CC0 1.0"),
        ((None, None, "creativecommons.org/publicdomain/mark/1.0/"), "Public domain"),
        (("https://creativecommons.org/licenses/by-nc/2.5/",), "CC BY-NC 2.5"),
    ],
)
def test_one_licence_has_one_name_however_it_is_written(named: tuple[str, ...], name: str) -> None:
    granted = licence(*named)
    assert granted is not None and granted.name == name


@pytest.mark.parametrize("name", [None, "", "  ", "All rights reserved", "none", "©"])
def test_nothing_named_is_no_licence(name: str | None) -> None:
    assert licence(name) is None
    assert licence(None, "4.0", "https://creativecommons.org/") is None


def test_the_text_of_a_known_licence_is_linked() -> None:
    assert licence("by-nc", "2.0") == Licence(
        "by-nc", "2.0", "https://creativecommons.org/licenses/by-nc/2.0/"
    )
    assert licence("by") == Licence("by", None, None)


def test_the_attribution_names_title_creator_and_licence() -> None:
    granted = licence("cc0")
    assert attribution("Rain", "Jane", granted) == (
        '"Rain" by Jane, CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)'
    )
    assert attribution(None, None, None) == "A photo, no licence known"


def test_licences_are_asked_for_by_their_codes() -> None:
    assert licence_codes("by, CC-BY-SA,cc0") == {"by", "by-sa", "cc0"}
    with pytest.raises(WrongUsage, match=r"--license 'gpl' is unknown\. There are by, by-sa"):
        licence_codes("by,gpl")
