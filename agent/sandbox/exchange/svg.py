"""SVG that only draws: an allow-list of elements and attributes, read without building a document."""

import base64
import binascii
import re
import string
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from agent.sandbox.exchange import png

NAMESPACE: Final = "http://www.w3.org/2000/svg"
LINK: Final = "http://www.w3.org/1999/xlink"
MAX_DEPTH: Final = 64

_ELEMENTS: Final = {
    *("svg", "g", "defs", "title", "desc", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("text", "tspan", "use", "image", "clipPath", "pattern", "mask", "symbol", "marker"),
    *("linearGradient", "radialGradient", "stop", "filter", "feComposite", "feColorMatrix"),
}
_ATTRIBUTES: Final = {
    *("id", "class", "d", "style", "transform", "width", "height", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r"),
    *("rx", "ry", "points", "offset", "viewBox", "version", "preserveAspectRatio", "type", "in", "in2", "operator"),
    *("k1", "k2", "k3", "k4", "values", "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "opacity"),
    *("stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "clip-path", "clip-rule", "mask"),
    *("filter", "marker-start", "marker-end", "gradientUnits", "gradientTransform", "patternUnits", "spreadMethod"),
    *("patternTransform", "shape-rendering", "text-anchor", "font-size", "font-family", "font-weight", "font-style"),
    *("dx", "dy", "stop-color", "stop-opacity", "image-rendering", "color-interpolation-filters", "clipPathUnits"),
}
_HREF = f"{LINK} href"
_PNG_DATA = "data:image/png;base64,"
# A function in a value either draws or points into the same picture.
_WORD: Final = string.ascii_letters + string.digits + "-_"
_FUNCTIONS = {"rgb", "rgba", "matrix", "translate", "scale", "rotate", "skewX", "skewY"}
_PLAIN_VALUE = re.compile(r"[^@\\<>{}]*")
_ADDRESS = re.compile(r"//|(?:script|data|blob|file)\s*:", re.IGNORECASE)


class _NotAllowedError(Exception):
    """The text says what is not."""


def problem(data: bytes) -> str:
    """Why it may not leave, in words that hold none of its content; "" when it may."""
    head = data.removeprefix(b'<?xml version="1.0" encoding="utf-8"?>')
    try:
        data.decode()  # in another encoding, what is looked for here would stand in other bytes
    except UnicodeDecodeError:
        return "the SVG is not UTF-8"
    if not head.startswith(b"<svg") or b"<!" in head or b"<?" in head:  # so that it can declare no entities
        return "the SVG holds a declaration, a comment or an instruction"
    check = _Check()
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = check.start
    parser.EndElementHandler = check.end
    try:
        parser.Parse(data, True)
    except _NotAllowedError as error:
        return str(error)
    except (expat.ExpatError, ValueError):
        return "it is not whole XML"
    return ""


class _Check:
    def __init__(self) -> None:
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace != NAMESPACE or local not in _ELEMENTS or (self._depth == 0) != (local == "svg"):
            raise _NotAllowedError("the SVG holds an element that does not draw")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _NotAllowedError("the SVG is nested too deeply")
        for key, value in attributes.items():
            if not _attribute(local, key, value):
                raise _NotAllowedError("the SVG holds an attribute that is not allowed")

    def end(self, _: str) -> None:
        self._depth -= 1


def _attribute(element: str, key: str, value: str) -> bool:
    if key == _HREF:
        return value.startswith("#") or (element == "image" and _is_picture(value))
    if key not in _ATTRIBUTES or not _PLAIN_VALUE.fullmatch(value) or _ADDRESS.search(value):
        return False
    return all(name in _FUNCTIONS or (name == "url" and target.startswith("#")) for name, target in _functions(value))


def _functions(value: str) -> Iterator[tuple[str, str]]:
    """The word before each opening bracket, and what follows it."""
    for before, behind in pairwise(value.split("(")):
        word = before.rstrip()
        yield word[len(word.rstrip(_WORD)) :], behind.lstrip()


def _is_picture(value: str) -> bool:
    if not value.startswith(_PNG_DATA):
        return False
    try:
        data = base64.b64decode("".join(value[len(_PNG_DATA) :].split()), validate=True)
    except binascii.Error:
        return False
    return not png.problem(data)


def cleaned(data: bytes) -> bytes:
    """What matplotlib writes, without what only describes, styles or links. Raises ParseError. For the child only."""
    ET.register_namespace("", NAMESPACE)
    ET.register_namespace("xlink", LINK)
    root = ET.fromstring(data)  # noqa: S314  its own process wrote it
    _clean(root)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")  # what its style sheet says of all elements
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="utf-8"?>' + written


def _clean(element: Any) -> None:
    for child in list(element):
        namespace, _, local = child.tag.rpartition("}")
        if local == "a":
            child.tag, child.attrib = f"{{{NAMESPACE}}}g", {}
        elif namespace != "{" + NAMESPACE or local not in _ELEMENTS:
            element.remove(child)
            continue
        _clean(child)
    for key, value in list(element.attrib.items()):
        if not _attribute(element.tag.rpartition("}")[2], key.replace("}", " ").lstrip("{"), value):
            del element.attrib[key]
