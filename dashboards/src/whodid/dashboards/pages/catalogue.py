"""All pages, in the order of the menu. To add one: its module, its template, a line here."""

from whodid.dashboards.pages.action import ACTION
from whodid.dashboards.pages.approvals import APPROVALS
from whodid.dashboards.pages.blast_radius import BLAST_RADIUS
from whodid.dashboards.pages.decisions import DECISIONS
from whodid.dashboards.pages.delegation import DELEGATION
from whodid.dashboards.pages.entity import ENTITY_PAGES
from whodid.dashboards.pages.findings import FINDINGS
from whodid.dashboards.pages.overview import OVERVIEW
from whodid.dashboards.pages.page import Page
from whodid.dashboards.pages.questions import QUESTION_PAGES, QUESTIONS_PAGE
from whodid.dashboards.pages.replay import REPLAY
from whodid.dashboards.pages.search import SEARCH
from whodid.dashboards.pages.span import SPAN
from whodid.dashboards.pages.trace import TRACE

PAGES: tuple[Page, ...] = (
    OVERVIEW,
    SEARCH,
    BLAST_RADIUS,
    DECISIONS,
    FINDINGS,
    APPROVALS,
    ACTION,
    TRACE,
    SPAN,
    DELEGATION,
    REPLAY,
    QUESTIONS_PAGE,
    *ENTITY_PAGES,
    *QUESTION_PAGES,
)
