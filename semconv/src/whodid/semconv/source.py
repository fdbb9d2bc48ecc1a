"""Reads the model's YAML with the line of every key and item, so that an error can say where it is."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

MANIFEST = "manifest.yaml"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file; lines count from 1."""

    path: Path
    line: int = 1

    def __str__(self) -> str:
        return f"{self.path.as_posix()}:{self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is wrong with the model: where, what, and what to write instead."""

    place: Place
    cause: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}" + (f"\n hint: {self.hint}" if self.hint else "")


class Map(dict[str, Any]):
    """A YAML mapping that knows its own line and its keys'."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """The line of a key; of the whole mapping where it has no such key."""
        return self.lines.get(key, self.line)

    def map(self, key: str) -> Map:
        """The mapping under a key; an empty one where there is none."""
        found = self.get(key)
        return found if isinstance(found, Map) else Map(self.line_of(key))

    def maps(self, key: str) -> list[Map]:
        """The mappings in the list under a key."""
        found: Any = self.get(key)
        return [item for item in found if isinstance(item, Map)] if isinstance(found, Items) else []

    def text(self, key: str) -> str:
        """The text under a key, without the white space around it; empty where there is none."""
        found = self.get(key)
        return found.strip() if isinstance(found, str) else ""

    @property
    def hints(self) -> Map:
        """Our annotations, which Weaver passes by."""
        return self.map("annotations").map("whodid")


class Items(list[Any]):
    """A YAML list that knows the lines of its items."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the model, or of what it depends on."""

    path: Path
    root: Map
    ours: bool
    """False for a file of the vendored upstream registry."""

    @property
    def group(self) -> str:
        """What the file's attributes are called together, in the constants and on the pages."""
        return self.path.stem if self.ours else "upstream"

    def place(self, node: Map, key: str = "") -> Place:
        """Where a mapping, or a key of it, is."""
        return Place(self.path, node.line_of(key) if key else node.line)


@dataclass(slots=True)
class Source:
    """Every file that could be read, and what is wrong with the others."""

    manifest: Document | None
    documents: list[Document]
    problems: list[Problem] = field(default_factory=list[Problem])

    def nodes(self, section: str) -> Iterator[tuple[Document, Map]]:
        """The items of a section (`attributes`, `spans` …) in every document."""
        for document in self.documents:
            for node in document.root.maps(section):
                yield document, node


def read(folder: Path) -> Source:
    """Reads the model in `folder` and the folders of the dependencies that its manifest names."""
    problems: list[Problem] = []
    manifest = _document(folder / MANIFEST, ours=True, problems=problems)
    documents = _folder(folder, ours=True, problems=problems)
    dependencies = manifest.root.maps("dependencies") if manifest else []
    for dependency in dependencies:
        path = Path(os.path.normpath(folder / dependency.text("registry_path")))
        if path.is_dir():
            documents += _folder(path, ours=False, problems=problems)
        else:
            place = Place(folder / MANIFEST, dependency.line_of("registry_path"))
            problems.append(
                Problem(place, f"there is no folder {path}", "name the vendored registry's folder")
            )
    return Source(manifest, documents, problems)


def _folder(folder: Path, *, ours: bool, problems: list[Problem]) -> list[Document]:
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != MANIFEST]
    documents = [_document(path, ours=ours, problems=problems) for path in paths]
    return [document for document in documents if document is not None]


def _document(path: Path, *, ours: bool, problems: list[Problem]) -> Document | None:
    found: list[Problem] = []
    try:
        root = parse(path.read_text(encoding="utf-8"), path, found)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        found.append(Problem(Place(path), f"the file cannot be read: {reason}"))
        root = None
    if root is not None and not isinstance(root, Map):
        found.append(
            Problem(Place(path), "the file is no mapping", "begin it with `file_format: definition/2`")
        )
    problems += found
    return Document(path, root, ours) if isinstance(root, Map) else None


def parse(text: str, path: Path, problems: list[Problem]) -> Any:
    """The YAML (or JSON) in `text` as Maps, Items and scalars; None, and a problem, where it is no YAML."""
    import yaml  # only who compiles the model needs it

    loader: Any = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return None if node is None else _Builder(loader, path, problems).value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(path, mark.line + 1 if mark else 1)
        problems.append(
            Problem(place, f"this is no YAML: {error.problem}", "quote text that has `: ` or `#` in it")
        )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        cause = f"this is no YAML: the character U+{ord(text[error.position]):04X} is not allowed"
        problems.append(Problem(Place(path, line), cause, "take it out"))
    finally:
        if loader is not None:
            loader.dispose()
    return None


class _Builder:
    """Makes values of YAML's nodes."""

    def __init__(self, loader: Any, path: Path, problems: list[Problem]) -> None:
        self._loader = loader
        self._path = path
        self._problems = problems
        self._open: list[int] = []

    def value(self, node: Any) -> Any:
        import yaml

        if isinstance(node, yaml.ScalarNode):
            try:
                return self._loader.construct_object(node)
            except ValueError as error:  # such as a date that no calendar has
                self._report(node, f"{node.value!r} cannot be read: {error}", "quote it")
                return str(node.value)
        if id(node) in self._open:
            self._report(node, "an alias refers to itself", "write the value out")
            return None
        self._open.append(id(node))
        try:
            return self._map(node) if isinstance(node, yaml.MappingNode) else self._items(node)
        finally:
            self._open.pop()

    def _map(self, node: Any) -> Map:
        found = Map(node.start_mark.line + 1)
        for key_node, value_node in node.value:
            key = self.value(key_node)
            if not isinstance(key, str):
                self._report(key_node, f"the key {key!r} is no text", "quote it")
                continue
            if key in found:
                self._report(
                    key_node, f"`{key}` is there twice", f"keep one; the other is in line {found.lines[key]}"
                )
                continue
            found.lines[key] = key_node.start_mark.line + 1
            found[key] = self.value(value_node)
        return found

    def _items(self, node: Any) -> Items:
        found = Items()
        for item in node.value:
            found.lines.append(item.start_mark.line + 1)
            found.append(self.value(item))
        return found

    def _report(self, node: Any, cause: str, hint: str) -> None:
        self._problems.append(Problem(Place(self._path, node.start_mark.line + 1), cause, hint))


def value_at(root: Any, path: Iterable[str | int]) -> Any:
    """The value that a path of keys and positions leads to."""
    for step in path:
        root = root[step]
    return root


def line_at(root: Any, path: Sequence[str | int]) -> int:
    """The line of the value that a path of keys and positions leads to."""
    if not path:
        return cast("int", root.line)
    return cast("int", value_at(root, path[:-1]).lines[path[-1]])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the names that are nearest to a wrong one; empty where nothing is near."""
    near: Sequence[str] = difflib.get_close_matches(name, list(known), n=3, cutoff=0.75)
    return f"did you mean {' or '.join(near)}?" if near else ""
