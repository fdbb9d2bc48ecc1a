"""All pages, in the order of the menu. To add one: its module, its template, a line here."""

from whodid.dashboards.pages.overview import OVERVIEW
from whodid.dashboards.pages.page import Page
from whodid.dashboards.pages.questions import QUESTION_PAGES, QUESTIONS_PAGE

PAGES: tuple[Page, ...] = (
    OVERVIEW,
    QUESTIONS_PAGE,
    *QUESTION_PAGES,
)
