from typing import Any

import pytest

from imgcli.collect.scrape.providers.api import ApiProvider
from imgcli.collect.scrape.providers.inaturalist import INATURALIST
from imgcli.collect.scrape.search_result import Search, SearchResult, Terms
from tests.support.fake_host import FakeHost
from tests.support.providers import asked, client_of, inaturalist, observation, observed

OWLS = Search("owl", "Strix aluco")
PATH = "/v1/observations"
ANY = Terms()


def source(host: FakeHost, terms: Terms = ANY) -> ApiProvider:
    return ApiProvider(INATURALIST, client_of(host), terms, f"http://{host.at}", {})


def one(**changes: Any) -> SearchResult:
    with FakeHost({PATH: inaturalist([observation(5, observed(1, **changes))])}) as host:
        return source(host).page(OWLS, "").results[0]


def test_pages_follow_the_last_observation() -> None:
    seen = [observation(10 + n, observed(n)) for n in range(450)]
    with FakeHost({PATH: inaturalist(seen)}) as host:
        here, found, cursor = source(host), [], ""
        while cursor is not None:
            page = here.page(OWLS, cursor)
            found += [int(result.source_id) for result in page.results]
            cursor = page.cursor
        assert found == list(range(450))
        assert [asked(host, n)["id_above"] for n in range(3)] == ["0", "209", "409"]
        assert len(host.log) == 3


def test_photos_of_one_observation_are_one_group() -> None:
    seen = [observation(5, observed(1), observed(2)), observation(6, observed(3))]
    with FakeHost({PATH: inaturalist(seen)}) as host:
        groups = [result.group for result in source(host).page(OWLS, "").results]
    assert groups == ["inaturalist:5", "inaturalist:5", "inaturalist:6"]


def test_the_large_size_is_taken() -> None:
    result = one()
    assert result.file_url == "https://static.inaturalist.test/photos/1/large.jpg?1"
    assert result.licence is not None and result.licence.name == "CC BY-NC 4.0"
    assert result.title == "Tawny Owl" and result.creator == "jane"
    assert result.attribution == "(c) Jane, some rights reserved (CC BY-NC)"


def test_no_licence_code_means_all_rights_reserved() -> None:
    assert one(license_code=None).licence is None


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": [{"flag": "spam"}]},
        {"url": "https://www.inaturalist.test/assets/copyright-infringement-square.png"},
        {"url": "https://static.inaturalist.test/attachment_defaults/local_photo/square.png"},
    ],
)
def test_flagged_photos_are_not_taken(changes: dict[str, Any]) -> None:
    assert one(**changes).unusable == "flagged"


def test_a_number_is_a_taxon() -> None:
    with FakeHost({PATH: inaturalist([])}) as host:
        assert source(host).page(Search("owl", "19893"), "").cursor is None
        source(host, Terms(frozenset({"by", "cc0"}))).page(OWLS, "")
        assert asked(host, 0)["taxon_id"] == "19893"
        assert asked(host, 0)["photo_license"].startswith("cc0,cc-by,cc-by-sa")
        assert asked(host, 1)["taxon_name"] == "Strix aluco"
        assert asked(host, 1)["photo_license"] == "cc0,cc-by"
