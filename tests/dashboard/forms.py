"""The forms of a page, as a browser would send them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from werkzeug.datastructures import MultiDict

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass
class Form:
    """A form's fields in their order, with the attributes of each field by its name."""

    id: str | None
    entries: list[tuple[str, str]] = field(default_factory=list)
    controls: dict[str, dict[str, str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return next(value for key, value in self.entries if key == name)

    def sent(self, *pressed: tuple[str, str], **changed: str) -> MultiDict[str, str]:
        """What the form would send, line breaks as HTML has them."""
        entries = [(name, value) for name, value in self.entries if name not in changed]
        entries += [*changed.items(), *pressed]
        return MultiDict((name, _LINE_BREAK.sub("\r\n", value)) for name, value in entries)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.form: Form | None = None
        self.control: tuple[str, str] | None = None
        self.text: list[str] = []
        self.options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given.get("id"))
            self.forms.append(self.form)
        if self.form is None:
            return
        name = given.get("name", "")
        if tag == "option":
            self.options.append((given.get("value", ""), "selected" in given))
        if not name or tag not in ("input", "textarea", "select") or "disabled" in given:
            return
        self.form.controls[name] = given
        if tag != "input":
            self.control, self.text, self.options = (tag, name), [], []
        elif given.get("type") not in ("checkbox", "radio") or "checked" in given:
            # A text field has one line.
            value = given.get("value", "")
            is_text = "type" not in given
            self._enter(name, re.sub(r"[\r\n]", "", value) if is_text else value)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        if self.control is None or tag != self.control[0]:
            return
        name = self.control[1]
        if tag == "textarea":
            text = _LINE_BREAK.sub("\n", "".join(self.text))
            self._enter(name, text.removeprefix("\n"))
        else:
            chosen = [value for value, is_chosen in self.options if is_chosen]
            self._enter(name, chosen[-1] if chosen else self.options[0][0])
        self.control = None

    def _enter(self, name: str, value: str) -> None:
        assert self.form is not None
        self.form.entries.append((name, value))


def forms_of(page: str) -> Iterator[Form]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    yield from reader.forms


def form_of(page: str, id: str) -> Form:
    """The form of this id."""
    return next(each for each in forms_of(page) if each.id == id)
