"""The configuration editor and its versions, as a browser without JavaScript uses them."""

import re
from functools import cache
from typing import Any, ClassVar

import marshmallow.fields
import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema
from marshmallow.validate import OneOf
from werkzeug.test import TestResponse

from cms_services.configuration import fields
from cms_services.configuration.checks import CHECK_TYPES, Check, Scrapes, schema_of_check
from cms_services.configuration.schema import SCHEMA_OF_FAMILY
from cms_services.vocabulary import FAMILY_OF_TYPE, ServiceType
from tests.dashboard.browsing import typed_in, undo_address
from tests.dashboard.forms import Form, form_of
from tests.people import PASSWORD, Person, data_of


class Editor:
    """The editor of a new service of Alice's."""

    def __init__(self, browser: FlaskClient, alice: Person, **fields: Any) -> None:
        self.browser, self.alice = browser, alice
        self.service = alice.new_service(**fields)
        self.path = f"/services/{self.service['serviceId']}/configuration"
        self.api = f"/api/services/{self.service['serviceId']}/config"

    def form(self, id: str) -> Form:
        return form_of(self.browser.get(self.path).text, id)

    def saved(self) -> Any:
        return data_of(self.alice.get(self.api))

    def revealed(self, path: str) -> str:
        return str(data_of(self.alice.post(f"{self.api}/reveal", json={"path": path}))["value"])

    def save_json(self, document: Any, **more: str) -> TestResponse:
        text = document if isinstance(document, str) else orjson.dumps(document).decode()
        return self.browser.post(self.path, data=self.form("raw").sent(document=text, **more))

    def save_typed(self, *pressed: tuple[str, str], **changed: str) -> TestResponse:
        form = self.form("typed")
        assert changed.keys() <= form.controls.keys()
        return self.browser.post(self.path, data=form.sent(*pressed, **changed))


SECRET: dict[str, Any] = {"environment": {"KEY": {"value": "s3cr3t", "secret": True}}, "port": 1}


@pytest.fixture
def editor(browser: FlaskClient, alice: Person) -> Editor:
    return Editor(browser, alice, configuration=SECRET)


class TestTheJson:
    def test_it_saves_what_is_typed_and_keeps_secrets(self, editor: Editor) -> None:
        overview = editor.browser.get(editor.path.removesuffix("/configuration")).text
        assert f'href="{editor.path}"' in overview
        form = editor.form("raw")
        assert "s3cr3t" not in editor.browser.get(editor.path).text
        typed = form["document"].replace('"port": 1', '"port": 2')
        answer = editor.browser.post(editor.path, data=form.sent(document=typed))
        assert (answer.status_code, answer.headers["Location"]) == (303, editor.path)
        assert editor.saved() == {"environment": {"KEY": "encrypted"}, "port": 2}
        assert editor.revealed("environment.KEY") == "s3cr3t"
        after = editor.browser.get(editor.path).text
        assert "Saved as version 2." in after
        undo = undo_address(after)
        assert undo == f"{editor.path}/versions/1/restore?undo=2"
        assert editor.browser.post(undo).status_code == 303
        assert editor.saved()["port"] == 1

    def test_saving_what_is_saved_makes_no_version(self, editor: Editor) -> None:
        assert editor.browser.post(editor.path, data=editor.form("raw").sent()).status_code == 303
        assert "Nothing was changed." in editor.browser.get(editor.path).text
        assert len(data_of(editor.alice.get(f"{editor.api}/versions"))) == 1

    @pytest.mark.parametrize("typed", ['{"port": "many"}', "{", "[]", '{"a": "</textarea>"', ""])
    def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
        self, editor: Editor, typed: str
    ) -> None:
        answer = editor.save_json(typed)
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        form = form_of(answer.text, "raw")
        assert form["document"] == typed
        # What is then mended is saved.
        mended = editor.browser.post(editor.path, data=form.sent(document='{"port": 5}'))
        assert mended.status_code == 303
        assert editor.saved() == {"port": 5}

    def test_problems_stand_beside_their_fields_and_above_with_links(self, editor: Editor) -> None:
        answer = editor.save_json(
            {"port": "many", "healthChecks": [{"type": "http", "interval": "1s"}]}
        )
        for field, place in (
            ("c-port", "port"),
            ("c-healthChecks-0-interval", "healthChecks.0.interval"),
        ):
            assert f'<a href="#{field}" hx-boost="false">{place}</a>' in answer.text
            assert f'id="{field}-wrong"' in answer.text
        controls = form_of(answer.text, "typed").controls
        assert controls["value:/port"]["aria-invalid"] == "true"
        assert controls["value:/port"]["aria-describedby"] == "c-port-wrong"
        assert "aria-invalid" not in controls["value:/host"]


class TestWhoSavedFirst:
    def test_both_are_shown_and_nothing_is_lost(self, editor: Editor) -> None:
        form = editor.form("raw")
        data_of(editor.alice.post(editor.api, json={"port": 7, "image": "theirs:1"}))
        answer = editor.browser.post(editor.path, data=form.sent(document='{"port": 8}'))
        assert answer.status_code == 409
        assert "Somebody else saved first" in answer.text
        shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
        assert "port 7 8" in shown
        assert "image theirs:1 –" in shown
        assert editor.saved()["port"] == 7
        again = form_of(answer.text, "raw")
        assert again["document"] == '{"port": 8}'
        assert editor.browser.post(editor.path, data=again.sent()).status_code == 303
        assert editor.saved() == {"port": 8}

    def test_typed_fields_are_not_lost_either(self, editor: Editor) -> None:
        form = editor.form("typed")
        data_of(editor.alice.post(editor.api, json={"port": 7}))
        answer = editor.browser.post(editor.path, data=form.sent(**{"value:/host": "mine"}))
        assert answer.status_code == 409
        again = form_of(answer.text, "typed")
        assert again["value:/host"] == "mine"
        assert editor.browser.post(editor.path, data=again.sent()).status_code == 303
        assert editor.saved() == {"environment": {"KEY": "encrypted"}, "port": 1, "host": "mine"}

    def test_a_mistake_does_not_hide_that_somebody_saved(self, editor: Editor) -> None:
        form = editor.form("raw")
        data_of(editor.alice.post(editor.api, json={"port": 7}))
        wrong = editor.browser.post(editor.path, data=form.sent(document='{"port": "many"}'))
        assert wrong.status_code in (400, 409)
        mended = form_of(wrong.text, "raw") if wrong.status_code == 400 else form
        answer = editor.browser.post(editor.path, data=mended.sent(document='{"port": 8}'))
        assert answer.status_code == 409
        assert editor.saved()["port"] == 7

    def test_another_change_of_the_service_is_none_of_the_configuration(
        self, editor: Editor
    ) -> None:
        form = editor.form("raw")
        editor.alice.patch(f"/api/services/{editor.service['serviceId']}", json={"name": "Other"})
        assert editor.browser.post(editor.path, data=form.sent(document="{}")).status_code == 303


class TestTypedFields:
    def test_each_kind_of_field_is_read(self, editor: Editor) -> None:
        answer = editor.save_typed(
            **{
                "value:/port": "8080",
                "value:/image": "shop:2",
                "value:/runtime/memoryLimit": "1GiB",
                "value:/networking/ssl": "true",
                "value:/networking/corsOrigins": "https://a.example\n\nhttps://b.example\n",
                "value:/logging/level": "warn",
                "value:/logging/outputs": "file",
            }
        )
        assert answer.status_code == 303
        assert editor.saved() == {
            "environment": {"KEY": "encrypted"},
            "port": 8080,
            "image": "shop:2",
            "runtime": {"memoryLimit": "1GiB"},
            "networking": {"ssl": True, "corsOrigins": ["https://a.example", "https://b.example"]},
            "logging": {"level": "warn", "outputs": ["file"]},
        }
        assert editor.save_typed(**{"value:/runtime/memoryLimit": ""}).status_code == 303
        assert "runtime" not in editor.saved()

    def test_fields_are_those_of_the_family(self, browser: FlaskClient, alice: Person) -> None:
        component = Editor(browser, alice).form("typed")
        domain = Editor(browser, alice, type="domain").form("typed")
        assert "value:/nameservers" in domain.controls.keys() - component.controls.keys()
        assert "value:/runtime/timeout" in component.controls

    def test_variables_are_added_named_and_removed(self, editor: Editor) -> None:
        more = editor.save_typed(("add", "/environment"))
        assert more.status_code == 200
        form = form_of(more.text, "typed")
        typed = {"name:/environment/": "URL", "value:/environment/": "http://x"}
        assert editor.browser.post(editor.path, data=form.sent(**typed)).status_code == 303
        assert editor.saved()["environment"] == {"KEY": "encrypted", "URL": "http://x"}
        less = editor.save_typed(("remove", "/environment/KEY"))
        editor.browser.post(editor.path, data=form_of(less.text, "typed").sent())
        assert editor.saved()["environment"] == {"URL": "http://x"}

    def test_two_variables_can_not_have_one_name(self, editor: Editor) -> None:
        editor.save_json({"environment": {"A": "1", "B": "2"}})
        answer = editor.save_typed(**{"name:/environment/B": "A", "value:/environment/B": "3"})
        assert answer.status_code == 400
        assert "There is one of this name already." in answer.text
        form = form_of(answer.text, "typed")
        assert (form["name:/environment/B"], form["value:/environment/B"]) == ("A", "3")

    def test_a_secret_is_kept_replaced_and_made_plain(self, editor: Editor) -> None:
        form = editor.form("typed")
        assert form["value:/environment/KEY"] == ""
        assert form["secret:/environment/KEY"] == "yes"
        assert editor.save_typed(**{"value:/port": "2"}).status_code == 303
        assert editor.revealed("environment.KEY") == "s3cr3t"
        assert editor.save_typed(**{"value:/environment/KEY": "n3w"}).status_code == 303
        assert editor.saved()["environment"] == {"KEY": "encrypted"}
        assert editor.revealed("environment.KEY") == "n3w"
        form = editor.form("typed")
        form.entries.remove(("secret:/environment/KEY", "yes"))
        sent = form.sent(**{"value:/environment/KEY": "open"})
        assert editor.browser.post(editor.path, data=sent).status_code == 303
        assert editor.saved()["environment"] == {"KEY": "open"}

    def test_a_variable_becomes_a_secret(self, editor: Editor) -> None:
        editor.save_json({"environment": {"A": "1"}})
        assert editor.save_typed(("secret:/environment/A", "yes")).status_code == 303
        assert editor.saved()["environment"] == {"A": "encrypted"}
        assert editor.revealed("environment.A") == "1"

    def test_a_check_has_the_fields_of_its_type(self, editor: Editor) -> None:
        form = form_of(editor.save_typed(("add", "/healthChecks")).text, "typed")
        assert "value:/healthChecks/0/keyword" in form.controls
        typed = {
            "value:/healthChecks/0/type": "tls",
            "value:/healthChecks/0/target": "a:443",
        }
        assert editor.browser.post(editor.path, data=form.sent(**typed)).status_code == 303
        assert editor.saved()["healthChecks"] == [{"type": "tls", "target": "a:443"}]
        form = editor.form("typed")
        assert "value:/healthChecks/0/warnDays" in form.controls
        assert "value:/healthChecks/0/keyword" not in form.controls

    def test_limits_are_a_switch_or_a_group(self, editor: Editor) -> None:
        assert "value:/rateLimiting" in editor.form("typed").controls
        form = form_of(editor.save_typed(("add", "/rateLimiting")).text, "typed")
        typed = {"value:/rateLimiting/requestsPerMinute": "60"}
        assert editor.browser.post(editor.path, data=form.sent(**typed)).status_code == 303
        assert editor.saved()["rateLimiting"] == {"requestsPerMinute": 60}

    def test_what_is_no_json_is_said_and_kept(self, browser: FlaskClient, alice: Person) -> None:
        editor = Editor(browser, alice, type="vps", configuration={"users": [{"name": "deploy"}]})
        answer = editor.save_typed(**{"value:/users/0/sudo": "{"})
        assert answer.status_code == 400
        assert "This is not valid JSON" in answer.text
        assert form_of(answer.text, "typed")["value:/users/0/sudo"] == "{"

    def test_unknown_names_are_shown_and_kept(self, editor: Editor) -> None:
        unknown = {"theme": "dark", "deep": {"er": [1, None]}}
        editor.save_json({"runtime": unknown, **unknown})
        form = editor.form("typed")
        assert form["value:/extra/theme"] == "dark"
        assert orjson.loads(form["value:/runtime/extra/deep"]) == {"er": [1, None]}
        assert editor.save_typed(**{"value:/extra/theme": "light"}).status_code == 303
        assert editor.saved() == {
            "runtime": {"extra": unknown},
            "extra": unknown | {"theme": "light"},
        }

    def test_names_and_texts_stay_text(self, editor: Editor) -> None:
        name, text = '"><script>alert(1)</script>/~\r\nä', "<b>&amp;\r\n\ttwo\n"
        editor.save_json({"environment": {name: text}})
        page = editor.browser.get(editor.path).text
        assert "<script>alert" not in page
        assert "<b>" not in page
        assert editor.browser.post(editor.path, data=editor.form("typed").sent()).status_code == 303
        assert editor.saved()["environment"] == {name: text}
        assert len(data_of(editor.alice.get(f"{editor.api}/versions"))) == 2


class TestFollowing:
    """What the script asks for as one types."""

    def check(self, editor: Editor, *pressed: tuple[str, str], **changed: str) -> str:
        form = editor.form("raw" if "document" in changed else "typed")
        answer = editor.browser.post(f"{editor.path}/check", data=form.sent(*pressed, **changed))
        assert answer.status_code == 200
        return answer.text

    def test_typed_fields_show_in_the_json(self, editor: Editor) -> None:
        shown = self.check(editor, **{"value:/host": "a.example"})
        assert orjson.loads(form_of(shown, "raw")["document"])["host"] == "a.example"
        assert "host" not in editor.saved()

    def test_json_shows_in_the_fields_with_what_is_wrong(self, editor: Editor) -> None:
        shown = self.check(editor, document='{"port": 0, "host": "a.example"}')
        form = form_of(shown, "typed")
        assert form["value:/host"] == "a.example"
        assert form.controls["value:/port"]["aria-invalid"] == "true"
        assert "Takes a whole number from 1 to 65535." in shown

    def test_json_that_can_not_be_read_yet_has_no_fields(self, editor: Editor) -> None:
        shown = self.check(editor, document='{"port": ')
        assert "not valid JSON" in shown
        assert "value:/port" not in form_of(shown, "typed").controls

    def test_a_secret_that_is_not_there_can_not_be_kept(self, editor: Editor) -> None:
        database = {"name": "main", "connection": {"password": "encrypted"}}
        shown = self.check(editor, document=orjson.dumps({"databases": [database]}).decode())
        assert "No secret is stored here" in shown
        assert 'id="c-databases-0-connection-password-wrong"' in shown


NAMES = st.sampled_from(["name", "extra", "memory_limit", "memoryLimit", "a/b~c", "", "\n", "<&'>"])
# What stands anywhere, whatever the schema has there.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", " ", "encrypted", "\r\n x\r", "200", "true", "2xx\n"])
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(NAMES, each, max_size=3),
    max_leaves=5,
)
FORMS = st.fixed_dictionaries(
    {"value": st.text("ab\n", max_size=3)}, optional={"secret": st.booleans()}
)


@cache
def documents(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that hold a few of a schema's names, and what may stand there beside them."""
    known = {field.data_key or name: values(field) for name, field in schema.fields.items()}
    some = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)
    return st.builds(
        lambda first, second: first | second,
        some.flatmap(lambda names: st.fixed_dictionaries({each: known[each] for each in names})),
        st.dictionaries(NAMES, ANYTHING, max_size=2),
    )


def values(field: Any) -> st.SearchStrategy[Any]:
    if isinstance(field, fields.Either):
        return ANYTHING | values(field.nested)
    if isinstance(field, marshmallow.fields.Nested):
        return st.deferred(lambda: documents(field.schema))
    if isinstance(field, marshmallow.fields.List):
        return ANYTHING | st.lists(values(field.inner), max_size=3)
    if isinstance(field, Check | Scrapes):
        kinds = st.sampled_from([*CHECK_TYPES, "scrape"])
        return kinds.flatmap(
            lambda kind: documents(schema_of_check(kind)).map(lambda check: {"type": kind} | check)
        )
    if isinstance(field, fields.Environment):
        return st.dictionaries(NAMES, ANYTHING | FORMS, max_size=4)
    words = [each for rule in field.validators if isinstance(rule, OneOf) for each in rule.choices]
    return st.sampled_from(words) | ANYTHING if words else ANYTHING | FORMS


class TestRoundTrip:
    @pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
    @pytest.mark.parametrize("type", ["api", "vps"])
    def test_fields_that_nobody_touches_change_nothing(
        self, browser: FlaskClient, alice: Person, type: ServiceType
    ) -> None:
        path = f"/services/{alice.new_service(type=type)['serviceId']}/configuration/check"

        @settings(max_examples=12, deadline=None, derandomize=True)
        @given(documents(SCHEMA_OF_FAMILY[FAMILY_OF_TYPE[type]]))
        def untouched(document: dict[str, Any]) -> None:
            shown = browser.post(path, data={"document": orjson.dumps(document)}).text
            form = form_of(shown, "typed")
            assert orjson.loads(form["base"]) == document
            again = form_of(browser.post(path, data=form.sent()).text, "raw")
            # Unlike ==, this tells 1 from true.
            assert orjson.dumps(orjson.loads(again["document"])) == orjson.dumps(document)

        untouched()


class TestWhoTakesValues:
    SHARED: ClassVar = {"environment": {"URL": "x", "B": "y"}, "exports": ["URL", "B"]}

    @pytest.fixture
    def editor(self, browser: FlaskClient, alice: Person) -> Editor:
        editor = Editor(browser, alice, name="Store", configuration=self.SHARED)
        taking = {"environment": {"STORE": "${Store.URL}"}}
        alice.new_service(name="Shop", configuration=taking)
        return editor

    def test_they_are_named_before_and_when_it_is_saved(self, editor: Editor) -> None:
        document = {"environment": {"B": "y"}, "exports": ["B"]}
        sent = editor.form("raw").sent(document=orjson.dumps(document).decode())
        told = editor.browser.post(f"{editor.path}/check", data=sent).text
        assert "<code>STORE</code> takes <code>URL</code>" in told
        assert "Save all the same" not in told
        refused = editor.browser.post(editor.path, data=sent)
        assert refused.status_code == 409
        assert "Shop</a>: <code>STORE</code> takes <code>URL</code>" in refused.text
        assert "Save all the same" in refused.text
        assert editor.saved() == self.SHARED
        assert editor.save_json(document, breaking="yes").status_code == 303
        assert editor.saved() == document

    def test_restoring_tells_of_them_too(self, editor: Editor) -> None:
        editor.save_json(self.SHARED | {"port": 1})
        data_of(editor.alice.put(f"{editor.api}?allowBreaking=true", json={}))
        data_of(editor.alice.put(editor.api, json=self.SHARED))
        restore = f"{editor.path}/versions/3/restore"
        refused = editor.browser.post(restore)
        assert refused.status_code == 409
        assert "Shop" in refused.text
        assert editor.browser.post(restore, data={"breaking": "yes"}).status_code == 303
        assert editor.saved() == {}


class TestVersions:
    @pytest.fixture
    def editor(self, editor: Editor) -> Editor:
        """Three versions."""
        editor.save_json({"environment": {"KEY": {"value": "n3w", "secret": True}}, "port": 2})
        editor.save_json({"port": 3, "image": "shop:3"})
        return editor

    def test_they_are_listed_with_author_and_changes(self, editor: Editor) -> None:
        page = editor.browser.get(f"{editor.path}/versions").text
        assert page.count("Alice") >= 3
        assert "s3cr3t" not in page
        assert "n3w" not in page
        assert "<del>2</del>" in page
        assert "<ins>shop:3</ins>" in page
        assert page.index("Version 3") < page.index("Version 1")

    def test_any_two_are_compared(self, editor: Editor) -> None:
        page = editor.browser.get(f"{editor.path}/versions/compare?since=1&to=3").text
        assert "<del>1</del>" in page
        assert "<ins>3</ins>" in page
        backwards = editor.browser.get(f"{editor.path}/versions/compare?since=3&to=1").text
        assert "<del>3</del>" in backwards
        newest = editor.browser.get(f"{editor.path}/versions/compare?since=2").text
        assert "From version 2 to version 3" in newest
        same = editor.browser.get(f"{editor.path}/versions/compare?since=2&to=2").text
        assert "They hold the same." in same

    @pytest.mark.parametrize(
        ("query", "status"),
        [("", 400), ("?since=x", 400), ("?since=1&to=0", 400), ("?since=9", 404)],
    )
    def test_a_comparison_that_can_not_be_is_refused(
        self, editor: Editor, query: str, status: int
    ) -> None:
        answer = editor.browser.get(f"{editor.path}/versions/compare{query}")
        assert (answer.status_code, answer.mimetype) == (status, "text/html")

    def test_one_is_restored_after_a_question(self, editor: Editor) -> None:
        question = editor.browser.get(f"{editor.path}/versions/1/restore").text
        assert "Restore version 1?" in question
        assert "<ins>encrypted</ins>" in question or "encrypted" in question
        answer = editor.browser.post(f"{editor.path}/versions/1/restore")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{editor.path}/versions")
        assert editor.saved() == {"environment": {"KEY": "encrypted"}, "port": 1}
        assert editor.revealed("environment.KEY") == "s3cr3t"
        page = editor.browser.get(f"{editor.path}/versions").text
        assert "Version 1 is restored, as version 4." in page
        assert undo_address(page) == f"{editor.path}/versions/3/restore?undo=4"

    @pytest.mark.parametrize("by", ["question", "undo"])
    def test_what_somebody_else_saved_meanwhile_is_not_overwritten(
        self, editor: Editor, by: str
    ) -> None:
        if by == "question":
            address = f"{editor.path}/versions/1/restore"
            data = typed_in(editor.browser.get(address).text)
        else:
            editor.save_json({"port": 4})
            undo = undo_address(editor.browser.get(editor.path).text)
            assert undo
            address, data = undo, {}
        editor.alice.put(editor.api, json={"port": 99})
        late = editor.browser.post(address, data=data)
        assert late.status_code == 409
        assert "Somebody else saved first" in late.text
        assert editor.saved() == {"port": 99}
        again = typed_in(late.text)
        assert editor.browser.post(address.partition("?")[0], data=again).status_code == 303
        assert editor.saved() != {"port": 99}

    def test_what_is_not_there_is_not_restored(self, editor: Editor) -> None:
        assert editor.browser.get(f"{editor.path}/versions/9/restore").status_code == 404
        assert editor.browser.post(f"{editor.path}/versions/9/restore").status_code == 404

    def test_a_viewer_reads_them_and_restores_none(
        self, editor: Editor, bob: Person, app: Any
    ) -> None:
        project = data_of(editor.alice.post("/api/projects", json={"name": "Shared"}), 201)
        editor.alice.patch(f"/api/services/{editor.service['id']}", json={"project": "Shared"})
        editor.alice.put(
            f"/api/projects/{project['id']}/members/{bob.user_id}", json={"role": "viewer"}
        )
        other = app.test_client()
        other.post("/login", data={"email": bob.email, "password": PASSWORD})
        page = other.get(f"{editor.path}/versions")
        assert page.status_code == 200
        assert "/restore" not in page.text
        assert other.get(f"{editor.path}/versions/1/restore").status_code == 403
        assert other.get(editor.path).status_code == 403
        assert other.post(f"{editor.path}/check", data={"document": "{}"}).status_code == 403
