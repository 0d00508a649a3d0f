"""What a file is: the one table of suffixes, of first bytes, and of files that are no photos."""

import re
from importlib.util import find_spec
from os.path import splitext
from typing import NamedTuple

HEAD = 512  # bytes that are enough to tell

# Suffixes by format; the first is given to photos whose name has none of any format. The order is
# kept: caches hold positions in it.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "JXL": (".jxl",),
}
# For people. HEIC and JPEG XL are read where their packages are installed.
FORMATS_READ = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM/PGM/PBM and AVIF"
PHOTO_SUFFIXES = frozenset(suffix for many in SUFFIXES.values() for suffix in many)

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"MM*\0": "TIFF",  # not to the standard, but written by some and read by Pillow
    b"II\0*": "TIFF",
}
# "P5", its width after white space; a comment may come in between. "Pf" is a grey PFM.
_PPM = re.compile(rb"P[1-6f]\s+(#|\d)")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes; "BM" alone also begins "BMW.txt"


class Plugin(NamedTuple):
    """The package that reads a format for Pillow."""

    what: str  # a file of the format
    module: str
    package: str
    extra: str  # of imgcli


PLUGINS = {
    "HEIF": Plugin("a HEIC picture", "pillow_heif", "pillow-heif", "heif"),
    "JXL": Plugin("a JPEG XL picture", "pillow_jxl", "pillow-jxl-plugin", "jxl"),
}

_SAVE = "save it as JPEG or PNG"
_RAW = "a camera's raw file; develop it to JPEG or TIFF"
_DVC = "a DVC pointer, not the photo itself: run `dvc pull`"
EMPTY = (
    "an empty file: a cloud folder's placeholder (make it available offline), or an unfinished "
    "download or copy"
)
_ZEROS = (
    "only zero bytes: a cloud folder's placeholder (make it available offline), or an unfinished "
    "download or copy"
)
ANNEX = "a git-annex pointer, not the photo itself: run `git annex get`"
_POINTERS = {  # texts that stand for a file which is elsewhere
    b"version https://git-lfs": "a Git LFS pointer, not the photo itself: run `git lfs pull`",
    b"version https://hawser": "a Git LFS pointer, not the photo itself: run `git lfs pull`",
    b"/annex/objects/": ANNEX,
    b"../.git/annex/objects/": ANNEX,
    b".git/annex/objects/": ANNEX,
    b"outs:\n- md5:": _DVC,
    b"md5: ": _DVC,
}
_OTHERS = {
    b"%PDF": "a PDF document; save its pictures as JPEG or PNG",
    b"%!PS": f"a PostScript drawing; {_SAVE}",
    b"\xc5\xd0\xd3\xc6": f"a PostScript drawing; {_SAVE}",
    b"PK\x03\x04": "a zip archive; import it by itself",
    b"\x1f\x8b": "a gzip file",
    b"8BPS": f"a Photoshop file; {_SAVE}",
    b"\0\0\0\x0cjP  ": f"a JPEG 2000 picture; {_SAVE}",
    b"\xff\x4f\xff\x51": f"a JPEG 2000 picture; {_SAVE}",
    b"FUJIFILMCCD-RAW": _RAW,
    b"IIRO": _RAW,
    b"IIRS": _RAW,
    b"IIU\0": _RAW,
    b"v/1\x01": f"an OpenEXR picture; {_SAVE}",
    b"#?RADIANCE": f"a Radiance HDR picture; {_SAVE}",
    b"SIMPLE  =": f"a FITS picture; {_SAVE}",
    b"DDS ": f"a DDS texture; {_SAVE}",
    b"P7\n": f"a PAM picture; {_SAVE}",
    b"PF\n": f"a colour PFM picture; {_SAVE}",
    b"bplist00": "a placeholder of iCloud or another property list; download the photo first",
}
# ISO media files name their brand in bytes 8 to 12, and after 16 those they are compatible with.
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_MARKUP = {  # SVG first: it often follows <?xml …?>
    b"<svg": "an SVG drawing",
    b"<!doctype svg": "an SVG drawing",
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
}

# Suffixes that no camera, browser or scraper gives a picture.
OTHER_SUFFIXES = {
    *(".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".html", ".htm", ".xml", ".yaml", ".yml"),
    *(".toml", ".ini", ".cfg", ".log", ".py", ".sh", ".ipynb", ".xmp", ".aae"),
    *(".tmp", ".npy", ".npz", ".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".parquet"),
    *(".mp4", ".mov", ".avi", ".mkv", ".mp3", ".wav", ".crdownload", ".part", ".dvc"),
}


def placeholder(name: str) -> str | None:
    """What a file is by its name alone, if that says that the photo is elsewhere."""
    if name.lower().endswith(".dvc"):
        return _DVC
    if name.startswith(".") and name.lower().endswith(".icloud"):
        return "a placeholder of iCloud: download the photo first (`brctl download`, or Finder)"
    return None


def broken_link(target: str) -> str:
    """What a link to a file that is not there is, by where it points."""
    return ANNEX if ".git/annex/" in target else "a broken link"


def is_photo_name(name: str) -> bool:
    """Whether a file is a photo by its name; what is in it `photo_format` tells."""
    return splitext(name)[1].lower() in PHOTO_SUFFIXES


def photo_format(head: bytes) -> str | None:
    """The format of a photo that begins with `head` (`HEAD` bytes); None for anything else.

    A format of `PLUGINS` is named whether or not it can be read here; `refusal` says that.
    """
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if _PPM.match(head):
        return "PPM"
    if head.startswith(_JXL):
        return "JXL"
    return _iso_picture(head)


def _iso_picture(head: bytes) -> str | None:
    """AVIF or HEIF, whose files begin alike; None for a video."""
    if head[4:8] != b"ftyp":
        return None
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brand, others = head[8:12], {head[i : i + 4] for i in range(16, end - 3, 4)}
    if brand in _AVIF or (brand in (b"mif1", b"msf1") and others & _AVIF):
        return "AVIF"
    return "HEIF" if brand in _HEIF else None


def refusal(head: bytes) -> str | None:
    """Why a file that begins with `head` is not read; None for a photo that is."""
    name = photo_format(head)
    if name is not None:
        return lacking(name)
    return other_type(head) or f"no {FORMATS_READ.replace(' and ', ' or ')} by its content"


def lacking(name: str) -> str | None:
    """What has to be installed for a format to be read; None if it can be."""
    if name == "AVIF":
        from PIL import features  # heavy, and most imports hold no AVIF

        known = features.check("avif")
        return None if known else f"an AVIF picture, which this Pillow does not read; {_SAVE}"
    plugin = PLUGINS.get(name)
    if plugin is None or find_spec(plugin.module) is not None:
        return None
    return (
        f"{plugin.what}, which needs {plugin.package} "
        f"(pip install 'imgcli[{plugin.extra}]'); or {_SAVE}"
    )


def other_type(head: bytes) -> str | None:
    """What a file that begins with `head` is instead of a photo; None if it is not known."""
    if not head:
        return EMPTY
    if not head.strip(b"\0"):
        return _ZEROS
    for start, name in (_OTHERS | _POINTERS).items():
        if head.startswith(start):
            return name
    if head[128:132] == b"DICM":
        return f"a DICOM picture; {_SAVE}"
    if head[4:8] == b"ftyp":
        return _RAW if head[8:12] == b"crx " else "a video, or another ISO media file"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _MARKUP.items():
        if text.startswith(start) or (start == b"<svg" and text[:1] == b"<" and start in text):
            return name
    if text.startswith((b"{", b"[")) and is_text(head):
        return "a JSON text, such as a server's error message"
    return "a text by its content" if is_text(head) else None


def is_text(head: bytes) -> bool:
    """Whether a file's beginning is UTF-8 without control characters."""
    text = head.decode("utf-8", "ignore")  # the cut may go through a character
    whole = len(head) - len(text.encode()) < 4
    return bool(text) and whole and all(c.isprintable() or c.isspace() for c in text)
