"""Resolves the model's references: attributes, attribute groups, refinements, and imports from upstream.

The rules are those of OTel Weaver's `definition/2`: what is written on a signal itself is laid over what its
attribute groups say, and that over what the signal that it refines says; two groups of one signal may not
refer to the same attribute; what is imported is named by wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from whodid.semconv.source import Document, Map, Place, Problem, Source, did_you_mean


class SignalKind(StrEnum):
    """What a signal is."""

    SPAN = "span"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Defined:
    """An attribute as its file defines it."""

    name: str
    document: Document
    node: Map

    def place(self, key: str = "key") -> Place:
        """Where the attribute, or a key of it, is."""
        return self.document.place(self.node, key)


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute as a signal refers to it."""

    name: str
    requirement: str
    """`required`, `conditionally_required`, `recommended` or `opt_in`."""
    condition: str
    """The condition under which it is required, in words for people; empty for another requirement."""
    when: str | None
    """The same condition as an expression for the validator."""
    note: str
    place: Place


@dataclass(frozen=True, slots=True)
class Signal:
    """A span or an event with everything that it refers to."""

    kind: SignalKind
    name: str
    document: Document
    node: Map
    base: Map | None
    """For a refinement, what it refines."""
    references: tuple[Reference, ...]

    def text(self, key: str) -> str:
        """Its text under a key, or that of what it refines."""
        return self.node.text(key) or (self.base.text(key) if self.base is not None else "")

    def map(self, key: str) -> Map:
        """Its mapping under a key, or that of what it refines."""
        return self.node.map(key) if key in self.node or self.base is None else self.base.map(key)


@dataclass(slots=True)
class Resolved:
    """The model with every reference followed, and those that lead nowhere."""

    attributes: dict[str, Defined] = field(default_factory=dict[str, Defined])
    signals: list[Signal] = field(default_factory=list[Signal])
    problems: list[Problem] = field(default_factory=list[Problem])

    def of_kind(self, kind: SignalKind) -> list[Signal]:
        """The spans, or the events, in the model's order."""
        return [signal for signal in self.signals if signal.kind is kind]


def resolve(source: Source) -> Resolved:
    """Follows every reference of the model. What cannot be followed is left out, and a problem says so."""
    return _Resolver(source).run()


# section, the refinements' section, the key of the signal's name, the key in `imports`
_SECTIONS = {
    SignalKind.SPAN: ("spans", "span_refinements", "type", "spans"),
    SignalKind.EVENT: ("events", "event_refinements", "name", "events"),
}


class _Resolver:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._out = Resolved()
        self._groups: dict[str, tuple[Document, Map]] = {}

    def run(self) -> Resolved:
        for document, node in self._source.nodes("attributes"):
            defined = Defined(node.text("key"), document, node)
            if self._is_new(defined.name, "attribute", defined.place(), self._out.attributes):
                self._out.attributes[defined.name] = defined
        self._collect_groups()
        for document, node in self._groups.values():
            self._group_references(document, node, ())
        for kind in SignalKind:
            self._signals(kind)
        return self._out

    def _is_new(self, name: str, what: str, place: Place, seen: dict[str, Defined]) -> bool:
        if name not in seen:
            return True
        other = seen[name].place()
        self._report(place, f"the {what} {name} is already defined at {other}", "keep one of the two")
        return False

    def _report(self, place: Place, cause: str, hint: str = "") -> None:
        problem = Problem(place, cause, hint)
        if problem not in self._out.problems:  # a group is expanded once for every signal that has it
            self._out.problems.append(problem)

    def _collect_groups(self) -> None:
        imported = self._imported("attribute_groups", "attribute_groups", "id")
        for document, node in self._source.nodes("attribute_groups"):
            name = node.text("id")
            if not document.ours and name not in imported:
                continue
            if name in self._groups:
                other_document, other = self._groups[name]
                cause = (
                    f"the attribute group {name} is already defined at {other_document.place(other, 'id')}"
                )
                self._report(document.place(node, "id"), cause, "keep one of the two")
            else:
                self._groups[name] = document, node

    def _imported(self, section: str, key: str, name_key: str) -> set[str]:
        """The names in an upstream section that the wildcards under `imports` match."""
        offered = [node.text(name_key) for document, node in self._source.nodes(section) if not document.ours]
        matched: set[str] = set()
        for document in self._source.documents:
            wildcards = document.root.map("imports").get(key) or ()
            lines = getattr(wildcards, "lines", ())
            for wildcard, line in zip(wildcards, lines, strict=False):
                names = {name for name in offered if fnmatchcase(name, str(wildcard))}
                matched |= names
                if not names:
                    cause = f"nothing upstream is named {wildcard}, so nothing is imported from its {section}"
                    hint = did_you_mean(str(wildcard), offered) or "vendor it in the upstream folder first"
                    self._report(Place(document.path, line), cause, hint)
        return matched

    def _signals(self, kind: SignalKind) -> None:
        section, refinements, name_key, import_key = _SECTIONS[kind]
        imported = self._imported(section, import_key, name_key)
        bases: dict[str, tuple[Document, Map]] = {}
        seen: dict[str, Place] = {}
        for document, node in self._source.nodes(section):
            name, place = node.text(name_key), document.place(node, name_key)
            bases.setdefault(name, (document, node))
            if self._is_new_signal(kind, name, place, seen) and (document.ours or name in imported):
                references = self._references(document, node, ())
                self._out.signals.append(Signal(kind, name, document, node, None, references))
        for document, node in self._source.nodes(refinements):
            name, place = node.text("id"), document.place(node, "id")
            if not self._is_new_signal(kind, name, place, seen):
                continue
            if node.text("ref") not in bases:
                cause = f"{name} refines {node.text('ref')}, which is no {kind}"
                self._report(document.place(node, "ref"), cause, did_you_mean(node.text("ref"), bases))
                continue
            base_document, base = bases[node.text("ref")]
            inherited = {each.name: each for each in self._references(base_document, base, ())}
            references = self._laid_over(inherited, self._references(document, node, (), inherited))
            self._out.signals.append(Signal(kind, name, document, node, base, references))

    def _is_new_signal(self, kind: SignalKind, name: str, place: Place, seen: dict[str, Place]) -> bool:
        if name in seen:
            self._report(
                place, f"the {kind} {name} is already defined at {seen[name]}", "give it another name"
            )
            return False
        seen[name] = place
        return True

    def _references(
        self,
        document: Document,
        node: Map,
        within: tuple[str, ...],
        inherited: dict[str, Reference] | None = None,
    ) -> tuple[Reference, ...]:
        """What a signal or a group refers to: its groups' references, and its own laid over them."""
        from_groups: dict[str, Reference] = {}
        owners: dict[str, str] = {}
        order: list[str] = []
        own: dict[str, Map] = {}
        for item in node.maps("attributes"):
            if "ref_group" in item:
                group = item.text("ref_group")
                for reference in self._group(document, item, within):
                    if owners.get(reference.name, group) != group:
                        cause = f"{group} and {owners[reference.name]} both refer to {reference.name}"
                        hint = "a signal's attribute groups may not overlap: take it out of one of them"
                        self._report(document.place(item, "ref_group"), cause, hint)
                    owners[reference.name] = group
                    from_groups[reference.name] = reference
                    order.append(reference.name)
            elif self._is_known(document, item):
                name = item.text("ref")
                if name in own:
                    self._report(
                        document.place(item, "ref"), f"{name} is referred to twice", "keep one of the two"
                    )
                own[name] = item
                order.append(name)
        under = dict(inherited or {}) | from_groups
        return tuple(
            _reference(document, own[name], under.get(name)) if name in own else from_groups[name]
            for name in dict.fromkeys(order)
        )

    def _is_known(self, document: Document, item: Map) -> bool:
        name = item.text("ref")
        if name in self._out.attributes:
            return True
        hint = did_you_mean(name, self._out.attributes) or "define it, or vendor it in the upstream folder"
        self._report(document.place(item, "ref"), f"there is no attribute {name}", hint)
        return False

    def _group(self, document: Document, item: Map, within: tuple[str, ...]) -> tuple[Reference, ...]:
        name, place = item.text("ref_group"), document.place(item, "ref_group")
        if name in within:
            self._report(place, f"the attribute group {name} contains itself", "take this reference out")
            return ()
        if name not in self._groups:
            hint = did_you_mean(name, self._groups) or "define it under attribute_groups, or import it"
            self._report(place, f"there is no attribute group {name}", hint)
            return ()
        return self._group_references(*self._groups[name], (*within, name))

    def _group_references(
        self, document: Document, node: Map, within: tuple[str, ...]
    ) -> tuple[Reference, ...]:
        return self._references(document, node, within or (node.text("id"),))

    @staticmethod
    def _laid_over(under: dict[str, Reference], over: Iterable[Reference]) -> tuple[Reference, ...]:
        return tuple((under | {reference.name: reference for reference in over}).values())


def _reference(document: Document, item: Map, under: Reference | None) -> Reference:
    """A reference as it is written, with what it leaves out taken from the one that it is laid over."""
    requirement = under.requirement if under else "recommended"
    condition, when = (under.condition, under.when) if under else ("", None)
    if "requirement_level" in item:
        level = item["requirement_level"]
        when = None
        requirement = next(iter(level)) if isinstance(level, Map) else str(level)
        condition = level.text(requirement) if isinstance(level, Map) else ""
    return Reference(
        name=item.text("ref"),
        requirement=requirement,
        condition=condition,
        when=item.hints.get("when", when),
        note=item.text("note") or (under.note if under else ""),
        place=document.place(item, "ref"),
    )
