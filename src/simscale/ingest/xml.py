"""XML from outside, parsed with a cap and without entities; numbers are checked as they are read."""

import math
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser

from simscale.ingest.reading import existing
from simscale.scene import BadInput

MAX_BYTES = 64_000_000
"""Largest file (ours); the largest public CommonRoad scenarios have about 20 MB."""
MAX_DEPTH = 32
"""Deepest nesting (ours); CommonRoad has 8."""


def read_xml(path: Path) -> Element:
    """The root element of a file. Document types, and with them entities, are refused before anything expands.

    Raises:
        BadInput: The file is missing, empty, too large or damaged, or declares a document type.
    """
    size = existing(path, "an XML file").stat().st_size
    if size > MAX_BYTES:
        raise BadInput(path, "size", f"{size} bytes", f"at most {MAX_BYTES} bytes")
    parser = XMLParser(target=_Tree(path))
    try:
        parser.feed(path.read_bytes())
        return parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise BadInput(path, "file", f"damaged ({error})", "well-formed XML") from None


def required(node: Element, tag: str, path: Path, field: str) -> Element:
    """The child `tag` of an element.

    Raises:
        BadInput: There is none.
    """
    child = node.find(tag)
    if child is None:
        raise BadInput(path, f"{field}.{tag}", "missing", "one")
    return child


def number(text: str | None, path: Path, field: str) -> float:
    """A text as a finite number.

    Raises:
        BadInput: It is none.
    """
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(path, field, "missing" if text is None else repr(text[:40]), "a finite number")
    return value


class _Tree:
    """Builds elements as the standard library's builder does, and stops at `MAX_DEPTH`."""

    def __init__(self, path: Path):
        self.path = path
        self.open: list[Element] = []
        self.root = Element("nothing")
        self.last: Element | None = None

    def doctype(self, name: str, _public: str | None, _system: str | None) -> None:
        raise BadInput(
            self.path, "file", f"XML with a document type ({name[:40]})", "XML without one, and so no entities"
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes)
        if self.open:
            self.open[-1].append(element)
        else:
            self.root = element
        self.open.append(element)
        self.last = None
        if len(self.open) > MAX_DEPTH:
            raise BadInput(self.path, "file", "nested too deep", f"at most {MAX_DEPTH} levels")

    def end(self, _tag: str) -> None:
        self.last = self.open.pop()

    def data(self, text: str) -> None:
        if self.last is None and self.open:  # what follows a child is no value
            self.open[-1].text = (self.open[-1].text or "") + text

    def close(self) -> Element:
        return self.root
