"""/services.php: every action, every way of sending parameters, and the settings of its shape."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.legacy.actions import ACTIONS
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of

COMPONENT_FIELDS = [
    "id", "serviceId", "name", "description", "icon", "status", "type", "project",
    "endpoints", "dependencies", "configuration", "createdAt", "updatedAt",
]  # fmt: skip
FORM = "application/x-www-form-urlencoded"


def create(person: Person, **fields: Any) -> dict[str, Any]:
    given = {"name": "Orders", "type": "api", "project": "shop"} | fields
    created: dict[str, Any] = data_of(person.act("createService", **given))
    return created


def get(person: Person, query: str) -> TestResponse:
    return person.get(f"/services.php?{query}")


class TestNamingTheAction:
    @pytest.mark.parametrize(
        "query", ["getServices=getServices", "getServices=true", "getServices=", "getServices",
                  "getServices[]=x", "_=1700000000&getServices=1&callback=x"]
    )  # fmt: skip
    def test_the_presence_of_its_name_is_enough(self, alice: Person, query: str) -> None:
        assert data_of(get(alice, query)) == []

    def test_null_counts_as_absent_as_in_isset(self, alice: Person) -> None:
        answer = alice.post("/services.php", json={"getServices": None, "getTemplates": False})
        assert [t["id"] for t in data_of(answer)] == ["express-api", "flask-api", "php-backend"]

    @pytest.mark.parametrize("query", ["", "getservices=1", "project=shop", "get.Services=1"])
    def test_no_action_lists_all_of_them(self, alice: Person, query: str) -> None:
        details = error_of(get(alice, query), 400, "UNKNOWN_ACTION")["details"]
        assert details["actions"] == list(ACTIONS)

    def test_two_actions_are_ambiguous_wherever_they_stand(self, alice: Person) -> None:
        error_of(get(alice, "getServices=1&getLogs=1"), 400, "AMBIGUOUS_ACTION")
        answer = alice.post("/services.php?getServices=1", data={"getTemplates": "1"})
        details = error_of(answer, 400, "AMBIGUOUS_ACTION")["details"]
        assert details["actions"] == ["getServices", "getTemplates"]

    def test_the_same_action_twice_is_one(self, alice: Person) -> None:
        answer = alice.post("/services.php?getServices=1", data={"getServices": "1"})
        assert data_of(answer) == []


@pytest.mark.parametrize("name", ACTIONS)
class TestEveryAction:
    def test_it_answers_its_methods_alone(self, alice: Person, name: str) -> None:
        answer = get(alice, f"{name}=1")
        if "GET" in ACTIONS[name].methods:
            assert answer.status_code != 405
        else:
            error_of(answer, 405, "METHOD_NOT_ALLOWED")
            assert answer.headers["Allow"] == "POST"
        answer = alice.put("/services.php", json={name: 1})
        error_of(answer, 405, "METHOD_NOT_ALLOWED")

    def test_it_asks_who_is_calling(self, client: FlaskClient, name: str) -> None:
        answer = client.post("/services.php", json={name: name, "serviceId": "1"})
        if name in ("getServiceTypes", "getTemplates"):
            data_of(answer)
        else:
            error_of(answer, 401, "UNAUTHENTICATED")
            assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_a_service_that_is_unknown_or_somebody_elses_is_refused(
        self, alice: Person, charlie: Person, name: str
    ) -> None:
        if "service_id" not in ACTIONS[name].parameters().fields:
            return
        more = {"configuration": {"a": 1}} if name == "updateConfig" else {}
        error_of(alice.act(name, serviceId="none", **more), 404, "SERVICE_NOT_FOUND")
        service = create(alice)
        answer = charlie.act(name, serviceId=service["serviceId"], **more)
        error_of(answer, 403, "FORBIDDEN")
        answer = alice.act(name, **more)
        assert "serviceId" in error_of(answer, 400, "VALIDATION_ERROR")["details"]


class TestComponents:
    def test_a_new_one_has_the_documented_fields_and_defaults(self, alice: Person) -> None:
        created = create(alice)
        assert list(created) == COMPONENT_FIELDS
        assert created["icon"] == "server-outline"
        assert (created["endpoints"], created["configuration"]) == ([], {})
        assert created["project"] == "shop"

    def test_lists_and_single_ones_have_the_same_shape(self, alice: Person) -> None:
        created = create(
            alice,
            configuration={"port": 3000, "environment": {"K": {"value": "x", "secret": True}}},
        )
        listed = data_of(get(alice, "getServices=getServices&project=shop"))
        assert listed == [created]
        assert list(listed[0]) == COMPONENT_FIELDS
        assert created["configuration"]["environment"] == {"K": "encrypted"}
        assert data_of(get(alice, f"getService=1&serviceId={created['id']}")) == created

    def test_they_come_newest_last_without_cancelled_ones(self, alice: Person) -> None:
        first, second, third = (create(alice, name=name) for name in ("B", "A", "C"))
        alice.act("deleteService", serviceId=second["serviceId"])
        assert data_of(get(alice, "getServices=1")) == [first, third]
        cancelled = data_of(get(alice, "getServices=1&status=cancelled"))
        assert [each["id"] for each in cancelled] == [second["id"]]

    def test_filters_limit_and_offset_narrow_the_list(self, alice: Person) -> None:
        for name, kind, project in (
            ("Alpha", "api", "shop"), ("Beta", "data", "shop"), ("100% Gamma", "api", "blog")
        ):  # fmt: skip
            create(alice, name=name, type=kind, project=project)
        alice.new_service(name="Site", type="hosting", project="shop")

        def names(query: str) -> list[str]:
            return [each["name"] for each in data_of(get(alice, f"getServices=1&{query}"))]

        assert names("project=shop") == ["Alpha", "Beta"]
        assert names("project=none") == []
        assert names("type=data") == ["Beta"]
        assert names("type=hosting") == []
        assert names("q=bet") == ["Beta"]
        assert names("q=100%25") == ["100% Gamma"]
        assert names("q=%25") == ["100% Gamma"]
        assert names("limit=1") == ["Alpha"]
        assert names("offset=2") == ["100% Gamma"]
        assert names("limit=1&offset=1") == ["Beta"]

    def test_searching_folds_letters_beyond_ascii(self, alice: Person) -> None:
        create(alice, name="Épicerie Ünal")
        assert len(data_of(get(alice, "getServices=1&q=%C3%A9PICERIE+%C3%BCn"))) == 1

    def test_only_component_types_are_created_here(self, alice: Person) -> None:
        answer = alice.act("createService", name="x", type="hosting", project="shop")
        assert "type" in error_of(answer, 400, "VALIDATION_ERROR")["details"]

    def test_somebody_elses_project_is_closed(self, alice: Person, charlie: Person) -> None:
        create(alice)
        answer = charlie.act("createService", name="x", type="api", project="shop")
        error_of(answer, 403, "FORBIDDEN")
        assert data_of(get(charlie, "getServices=1&project=shop")) == []

    def test_updating_changes_what_is_sent_and_nothing_else(self, alice: Person) -> None:
        created = create(alice, description="old", endpoints=["/a"])
        updated = data_of(
            alice.act(
                "updateService",
                serviceId=created["serviceId"],
                name="New",
                status="maintenance",
                project="blog",
            )
        )
        expected = created | {"name": "New", "status": "maintenance", "project": "blog"}
        assert updated == expected | {"updatedAt": updated["updatedAt"]}

    def test_an_identifier_may_come_as_a_number(self, alice: Person) -> None:
        created = create(alice)
        number = int(created["serviceId"])
        assert data_of(alice.act("getService", serviceId=number)) == created
        error_of(alice.act("getService", serviceId=True), 400, "VALIDATION_ERROR")
        error_of(alice.act("getService", serviceId=1.5), 400, "VALIDATION_ERROR")

    def test_deleting_answers_three_fields_and_can_be_repeated(self, alice: Person) -> None:
        created = create(alice)
        gone = {"id": created["id"], "serviceId": created["serviceId"], "status": "cancelled"}
        for _ in range(2):
            assert data_of(alice.act("deleteService", serviceId=created["id"])) == gone

    def test_suspend_and_resume_mean_inactive_and_active(self, alice: Person) -> None:
        service = create(alice)["serviceId"]
        assert data_of(alice.act("suspendService", serviceId=service))["status"] == "inactive"
        assert data_of(alice.act("resumeService", serviceId=service))["status"] == "active"

    def test_a_wrong_transition_says_what_is_allowed(self, alice: Person) -> None:
        service = create(alice)["serviceId"]
        answer = alice.act("updateService", serviceId=service, status="suspended")
        assert error_of(answer, 409, "INVALID_TRANSITION")["details"] == {
            "from": "active",
            "to": "suspended",
            "allowed": ["inactive", "maintenance", "cancelled"],
        }

    def test_configuration_is_read_and_merged(self, alice: Person) -> None:
        service = create(alice, configuration={"port": 3000, "old": 1})["serviceId"]
        merged = alice.act(
            "updateConfig", serviceId=service, configuration={"port": 4000, "old": None}
        )
        assert data_of(merged) == {"port": 4000}
        assert data_of(get(alice, f"getConfig=1&serviceId={service}")) == {"port": 4000}

    def test_types_and_templates_are_the_same_as_by_rest(self, alice: Person) -> None:
        assert data_of(get(alice, "getServiceTypes=1")) == data_of(alice.get("/api/service-types"))
        assert data_of(get(alice, "getTemplates=1")) == data_of(alice.get("/api/templates"))


class TestSendingParameters:
    FIELDS = "createService=createService&name=Orders+%26+more&type=api&project=shop"
    NESTED = (
        "&endpoints[]=/api/a&endpoints[]=/api/b&dependencies[0]=db&dependencies[7]=cache"
        "&configuration[port]=3000&configuration[cors][]=a&configuration[environment][K]=v"
    )

    def test_a_form_with_brackets_becomes_lists_and_objects(self, alice: Person) -> None:
        answer = alice.post("/services.php", data=self.FIELDS + self.NESTED, content_type=FORM)
        created = data_of(answer)
        assert created["name"] == "Orders & more"
        assert created["endpoints"] == ["/api/a", "/api/b"]
        assert created["dependencies"] == ["db", "cache"]
        assert created["configuration"] == {
            "port": "3000",
            "cors": ["a"],
            "environment": {"K": "v"},
        }

    def test_multipart_is_read_alike(self, alice: Person) -> None:
        fields = {"createService": "1", "name": "Ö", "type": "api", "project": "shop",
                  "configuration[port]": "3000", "endpoints[]": ["/a", "/b"]}  # fmt: skip
        created = data_of(
            alice.post("/services.php", data=fields, content_type="multipart/form-data")
        )
        assert (created["name"], created["endpoints"]) == ("Ö", ["/a", "/b"])
        assert created["configuration"] == {"port": "3000"}

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "text/plain", "", None, FORM, f"{FORM}; charset=UTF-8"],
    )
    def test_json_comes_under_the_types_old_code_sends(
        self, alice: Person, content_type: str | None
    ) -> None:
        body = b'\xef\xbb\xbf{"createService":"1","name":"x","type":"api","project":"shop"}'
        answer = alice.post("/services.php", data=body, content_type=content_type)
        assert data_of(answer)["name"] == "x"

    def test_the_body_wins_over_the_query(self, alice: Person) -> None:
        answer = alice.post(
            "/services.php?name=query&type=api", data="createService=1&name=body&project=shop",
            content_type=FORM,
        )  # fmt: skip
        assert data_of(answer)["name"] == "body"

    def test_the_last_of_repeated_parameters_wins(self, alice: Person) -> None:
        answer = alice.post("/services.php", data=self.FIELDS + "&name=last", content_type=FORM)
        assert data_of(answer)["name"] == "last"

    @pytest.mark.parametrize(
        ("configuration", "read"),
        [("[]", {}), ("", {}), ('{"port": 3000}', {"port": 3000}), ("{broken", None)],
    )
    def test_json_and_empty_texts_count_as_objects(
        self, alice: Person, configuration: str, read: object
    ) -> None:
        fields = {"createService": "1", "name": "x", "type": "api", "project": "shop"}
        answer = alice.post("/services.php", data=fields | {"configuration": configuration})
        if read is None:
            error_of(answer, 400, "VALIDATION_ERROR")
        else:
            assert data_of(answer)["configuration"] == read

    @pytest.mark.parametrize(
        ("body", "content_type", "status", "code"),
        [
            (b"{", "application/json", 400, "MALFORMED_BODY"),
            (b"[1]", "application/json", 400, "MALFORMED_BODY"),
            (b'"getServices"', "text/plain", 400, "MALFORMED_BODY"),
            (b'{"getServices":"\\ud800"}', "application/json", 400, "MALFORMED_BODY"),
            (b'{"getServices":NaN}', "application/json", 400, "MALFORMED_BODY"),
            (b'{"getServices":' + b"[" * 40 + b"]" * 40 + b"}", "application/json", 400,
             "MALFORMED_BODY"),
            (b"\xff\xfe", "application/json", 400, "MALFORMED_BODY"),
            (b' {"getServices":', FORM, 400, "MALFORMED_BODY"),
            (b"[1]", FORM, 400, "UNKNOWN_ACTION"),
            (b'{"a": "&getServices=1&"}', FORM, 400, "UNKNOWN_ACTION"),
            (b"getServices=1&q=\xff", FORM, 400, "VALIDATION_ERROR"),
            (b"getServices=1&q=%00", FORM, 400, "VALIDATION_ERROR"),
            (b"getServices=1&a" + b"[b]" * 65 + b"=1", FORM, 400, "VALIDATION_ERROR"),
            (b"&".join(b"a%d=1" % n for n in range(1001)), FORM, 400, "VALIDATION_ERROR"),
            (b"<a/>", "application/xml", 415, "UNSUPPORTED_MEDIA_TYPE"),
            (b"getServices=1&q=" + b"x" * 2**20, FORM, 413, "PAYLOAD_TOO_LARGE"),
            (b"--x", "multipart/form-data", 400, "UNKNOWN_ACTION"),
        ],
        ids=lambda value: str(value)[:24],
    )  # fmt: skip
    def test_what_cannot_be_read_is_refused(
        self, alice: Person, body: bytes, content_type: str, status: int, code: str
    ) -> None:
        answer = alice.post("/services.php", data=body, content_type=content_type)
        error_of(answer, status, code)

    def test_a_name_of_a_megabyte_leaves_no_row(self, alice: Person) -> None:
        answer = alice.act("createService", name="x" * 1_000_000, type="api", project="shop")
        error_of(answer, 400, "VALIDATION_ERROR")
        assert data_of(get(alice, "getServices=1")) == []
        assert data_of(alice.get("/api/projects")) == []

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1", "limit=9e9", "type=x",
                                       "status[]=active", "q[a]=1"])  # fmt: skip
    def test_wrong_filters_are_named(self, alice: Person, query: str) -> None:
        error_of(get(alice, f"getServices=1&{query}"), 400, "VALIDATION_ERROR")


class TestShape:
    @pytest.fixture
    def shaped(self, make_app: MakeApp, new_person: NewPerson) -> Any:
        def shape(**settings: str) -> Person:
            return new_person("Alice", of=make_app(**settings))

        return shape

    def test_bare_gives_the_data_alone_but_errors_in_their_envelope(self, shaped: Any) -> None:
        alice = shaped(LEGACY_ENVELOPE="bare")
        assert get(alice, "getServices=1").json == []
        error_of(get(alice, "x=1"), 400, "UNKNOWN_ACTION")

    def test_a_key_name_holds_the_data(self, shaped: Any) -> None:
        alice = shaped(LEGACY_ENVELOPE="services")
        assert get(alice, "getServices=1").json == {"success": True, "services": []}

    def test_always_200_hides_statuses_here_and_nowhere_else(self, shaped: Any) -> None:
        alice = shaped(LEGACY_STATUS="always-200")
        error_of(get(alice, "getService=1&serviceId=none"), 200, "SERVICE_NOT_FOUND")
        error_of(alice.put("/services.php"), 200, "METHOD_NOT_ALLOWED")
        error_of(alice.get("/api/services/none"), 404, "SERVICE_NOT_FOUND")
