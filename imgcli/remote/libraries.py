"""The libraries behind the schemes: what fsspec makes of a URI, and how each reads a range.

Every reader is told the ETag that was listed, and reads that content or fails.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from imgcli.errors import Refused, WrongUsage
from imgcli.remote.faults import Changed
from imgcli.remote.uris import shown, split_uri

# Schemes whose URIs are a bucket and a path in it; others know hosts, users and folders by id.
BUCKETS = {"s3", "s3a", "gs", "gcs", "hf", "az", "abfs", "abfss", "oss"}

# They log tracebacks of errors that end in a sentence here.
for _name in ("s3fs", "gcsfs", "botocore", "aiobotocore", "fsspec", "huggingface_hub"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def path_in(uri: str) -> str:
    """A URI without its scheme."""
    return split_uri(uri)[1]


def top_of(scheme: str, rest: str) -> str:
    """The bucket, or the repository with its kind: what is connected to."""
    steps = rest.split("/")
    n = 1
    if scheme == "hf":
        n = 3 if steps[0] in ("datasets", "models", "spaces") else 2
        if len(steps) >= n and steps[n - 1].endswith("@refs"):
            n += 2  # @refs/convert/parquet
    return "/".join(steps[:n])


def pinned(top: str, commit: str) -> str:
    """A repository at a commit, whatever revision was named."""
    return f"{path_in(top).partition('@')[0]}@{commit}"


def etag_of(info: Mapping[str, Any]) -> str:
    """What tells the content of an object from another, of what its library lists; or ""."""
    lfs = info.get("lfs")
    if lfs:
        return str(getattr(lfs, "sha256", None) or lfs.get("sha256") or "")
    for name in ("generation", "ETag", "etag", "blob_id", "md5Hash", "LastModified", "mtime"):
        if info.get(name):
            return str(info[name]).strip('"')
    return ""


def kind_of_scheme(scheme: str) -> str:
    """The entry of READERS for a scheme."""
    return {"s3a": "s3", "gcs": "gs"}.get(scheme, scheme if scheme in READERS else "other")


def filesystem(scheme: str, top: str) -> Any:
    """The fsspec file system of a scheme.

    Raises:
        WrongUsage: there is none, or none of buckets.
        Refused: its library is not installed.
    """
    if scheme not in BUCKETS:
        raise WrongUsage(
            f"'{shown(top)}': {scheme}:// is not read. Name a folder or a file, or a URI that "
            f"begins with {', '.join(f'{name}://' for name in ('s3', 'gs', 'hf', 'az'))} or https://."
        )
    try:
        import fsspec

        if kind_of_scheme(scheme) == "s3":
            return s3_filesystem()
        if scheme == "hf":
            from huggingface_hub import HfFileSystem

            return HfFileSystem(skip_instance_cache=True)
        # Google's library looks for a metadata server, for twelve seconds where there is none.
        os.environ.setdefault("GCE_METADATA_DETECT_RETRIES", "1")
        os.environ.setdefault("GCE_METADATA_TIMEOUT", "2")
        options = fsspec.get_filesystem_class(scheme)._get_kwargs_from_urls(top)
        options |= {"use_listings_cache": False, "skip_instance_cache": True}
        return fsspec.filesystem(scheme, **options)
    except ImportError as error:
        raise Refused(
            f"'{shown(top)}' needs a package that is not installed ({error}). Get it with: "
            f"pip install 'imgcli[cloud]'{_further(scheme)}"
        ) from None


def _further(scheme: str) -> str:
    return " adlfs" if scheme in ("az", "abfs", "abfss", "adl") else ""


def s3_filesystem(**options: Any) -> Any:
    """S3's file system, with credentials or, by `anon=True`, without."""
    import s3fs

    # Retries are the storage's: botocore's would come on top of them, and last for minutes.
    retries = {"total_max_attempts": 1, "mode": "standard"}
    fs = s3fs.S3FileSystem(
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={"retries": retries, "max_pool_connections": 64},
        **options,
    )
    fs.retries = 1
    return fs


def first_key(fs: Any, path: str) -> None:
    """Ask for the first key below a path, or at it: whether the bucket is there, and is open."""
    bucket, key, _ = fs.split_path(path)
    fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)


def has_hub_token() -> bool:
    """Whether there is a token for the hub."""
    from huggingface_hub import get_token

    return get_token() is not None


def commit_of(fs: Any, top: str, seconds: float) -> str:
    """The commit that a repository's revision is at now."""
    found = fs.resolve_path(path_in(top))
    info = fs._api.repo_info(
        found.repo_id, revision=found.revision, repo_type=found.repo_type, timeout=seconds
    )
    return str(info.sha)


# --- reading a range ----------------------------------------------------------------------------

Reader = Callable[[Any, str, str, int, int], bytes]


def _read_s3(fs: Any, path: str, etag: str, start: int, end: int) -> bytes:
    from fsspec.asyn import sync

    bucket, key, _ = fs.split_path(path)
    condition = {"IfMatch": f'"{etag}"'} if etag else {}

    async def read() -> bytes:
        answer = await fs._call_s3(
            "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", **condition
        )
        async with answer["Body"] as body:
            return bytes(await body.read())

    data: bytes = sync(fs.loop, read)
    return data


def _read_gs(fs: Any, path: str, etag: str, start: int, end: int) -> bytes:
    condition = {"generation": etag} if etag.isdigit() else {}
    data: bytes = fs.cat_file(path, start=start, end=end, **condition)
    return data


def _read_hf(fs: Any, path: str, etag: str, start: int, end: int) -> bytes:
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    found = fs.resolve_path(path)
    url = hf_hub_url(
        found.repo_id,
        found.path_in_repo,
        repo_type=found.repo_type,
        revision=found.revision,
        endpoint=fs.endpoint,
    )
    headers = {**build_hf_headers(), "Range": f"bytes={start}-{end - 1}"}
    answer = get_session().get(url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    hf_raise_for_status(answer)
    data: bytes = answer.content
    return data[start:end] if answer.status_code == 200 else data  # a whole small file


def _read_other(fs: Any, path: str, etag: str, start: int, end: int) -> bytes:
    if etag and etag_of(fs.info(path)) != etag:
        raise Changed(path)
    data: bytes = fs.cat_file(path, start=start, end=end)
    return data


READERS: dict[str, Reader] = {
    "s3": _read_s3,
    "gs": _read_gs,
    "hf": _read_hf,
    "other": _read_other,
}
