"""The language of the pages: as chosen, else as the browser asks for, else English."""

from pathlib import Path

from flask import Flask, has_request_context, request
from flask_babel import Babel

from cms_services.web.translation import MESSAGE_LANGUAGE, translated

LANGUAGES = {"en": "English", "de": "Deutsch"}
LANGUAGE_COOKIE = "language"

_TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"


def init_language(app: Flask) -> None:
    Babel(
        app,
        default_locale="en",
        default_translation_directories=str(_TRANSLATIONS),
        locale_selector=language,
    )
    app.jinja_env.filters["translated"] = translated
    # Whatever a template shows that is worded; what it joins needs the filter.
    app.jinja_env.finalize = translated
    app.context_processor(lambda: {"language": language(), "languages": LANGUAGES})


def language() -> str:
    """The code of the language that this request is answered in."""
    if not has_request_context():
        return "en"
    chosen = request.headers.get(MESSAGE_LANGUAGE) or request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES, "en") or "en"
