"""What was switched on at start, and what was not, and why: for people, on stderr."""

from __future__ import annotations

from dataclasses import dataclass, field

from whodid.instrumentation.export import Target


@dataclass(slots=True)
class Report:
    """What was switched on, for people."""

    instrumented: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Distribution and version, of each framework that is installed."""
    not_installed: list[str] = field(default_factory=list[str])
    found: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Distribution, version, and why it was not instrumented although it is installed."""
    problems: list[str] = field(default_factory=list[str])
    target: Target | None = None
    """None: the spans go where the program's own provider sends them."""
    answered: bool | None = None
    """None: nobody asked the receiver."""

    def lines(self) -> list[str]:
        """The report as `whodid run` prints it."""
        parts = ["instrumented " + (", ".join(" ".join(pair) for pair in self.instrumented) or "nothing")]
        if self.not_installed:
            parts.append("not installed: " + ", ".join(self.not_installed))
        found = ["whodid: " + " · ".join(parts)]
        if self.found:
            each = [f"{name} {version} ({why})" for name, version, why in self.found]
            found.append("whodid: found but not instrumented: " + ", ".join(each))
        found += [f"whodid: {problem}" for problem in self.problems]
        if self.target is None:
            return [*found, "whodid: spans are stamped and go where the program's own exporters send them"]
        line = f"whodid: spans go to {self.target.shown} ({self.target.protocol})"
        if self.answered is None:
            return [*found, line]
        if self.answered:
            return [*found, f"{line}: receiver answered"]
        return [
            *found,
            f"{line}: receiver did not answer",
            "",
            "hint: start one with `whodid up`, or set OTEL_EXPORTER_OTLP_ENDPOINT; see `whodid doctor`",
        ]
