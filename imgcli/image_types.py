"""What a file is: the one table of suffixes, of first bytes, and of files that are no photos."""

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
}
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
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes; "BM" alone also begins "BMW.txt"

_SAVE = "save it as JPEG or PNG"
_OTHERS = {
    b"%PDF": "a PDF document; save its pictures as JPEG or PNG",
    b"%!PS": f"a PostScript drawing; {_SAVE}",
    b"\xc5\xd0\xd3\xc6": f"a PostScript drawing; {_SAVE}",
    b"PK\x03\x04": "a zip archive; import it by itself",
    b"\x1f\x8b": "a gzip file",
    b"8BPS": f"a Photoshop file; {_SAVE}",
    b"\0\0\0\x0cjP  ": f"a JPEG 2000 picture; {_SAVE}",
    b"\xff\x4f\xff\x51": f"a JPEG 2000 picture; {_SAVE}",
}
_BRANDS = {  # ISO media files name their brand in bytes 8 to 12
    b"heic": f"a HEIC picture; {_SAVE}",
    b"heix": f"a HEIC picture; {_SAVE}",
    b"mif1": f"a HEIC picture; {_SAVE}",
    b"avif": f"an AVIF picture; {_SAVE}",
}
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
    *(".mp4", ".mov", ".avi", ".mkv", ".mp3", ".wav"),
}


def photo_format(head: bytes) -> str | None:
    """The format of a photo that begins with `head` (`HEAD` bytes); None for anything else."""
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return None


def refusal(head: bytes) -> str | None:
    """Why a file that begins with `head` is no photo; None for a photo."""
    if photo_format(head) is not None:
        return None
    return other_type(head) or "no JPEG, PNG, WebP, GIF, BMP or TIFF by its content"


def other_type(head: bytes) -> str | None:
    """What a file that begins with `head` is instead of a photo; None if it is not known."""
    if not head:
        return "empty file"
    for start, name in _OTHERS.items():
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video, or another ISO media file")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _MARKUP.items():
        if text.startswith(start) or (start == b"<svg" and text[:1] == b"<" and start in text):
            return name
    return None
