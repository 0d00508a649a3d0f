"""What a file is, by its first bytes; names may lie."""

HEAD = 512  # bytes that are enough to tell

# Suffixes by format; the first is given to photos whose name has none of any format.
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

_OTHERS = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "a PostScript drawing",
    b"PK\x03\x04": "a zip archive; import it by itself",
    b"\x1f\x8b": "a gzip file",
    b"8BPS": "a Photoshop file; export it as JPEG or PNG",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture; convert it to JPEG or PNG",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture; convert it to JPEG or PNG",
}
_TEXTS = {
    b"<svg": "an SVG drawing",
    b"<!doctype svg": "an SVG drawing",
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
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
    if not head:
        return "empty file"
    for start, name in _OTHERS.items():
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file; convert it to JPEG or PNG"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _TEXTS.items():  # SVG first: it often hides behind <?xml …?>
        if text.startswith(start) or (start == b"<svg" and text[:1] == b"<" and start in text):
            return name
    return "no JPEG, PNG, WebP, GIF, BMP or TIFF by its content"
