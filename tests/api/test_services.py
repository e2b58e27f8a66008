"""/api/services: creating, reading, listing and changing services."""

from datetime import timedelta

import pytest
from flask import Flask

from cms_services.accounts.users import get_user
from cms_services.clock import fixed_at, now
from tests.conftest import MakeApp, NewPerson, new_access_token
from tests.people import Person, data_of, error_of

SEED_FIELDS = [
    "id",
    "name",
    "serviceId",
    "billingId",
    "startDate",
    "nextBilling",
    "status",
    "type",
]


class TestCreating:
    def test_a_component_gets_defaults_by_its_type(self, alice: Person) -> None:
        created = alice.new_service(name="Orders API", type="api", project="shop")
        assert created["status"] == "active"
        assert created["icon"] == "server-outline"
        assert created["project"] == "shop"
        assert created["endpoints"] == created["dependencies"] == []
        assert created["configuration"] == {}
        assert created["ownerId"] == alice.user_id
        assert created["createdAt"].endswith("Z")

    def test_a_location_leads_to_the_new_service(self, alice: Person) -> None:
        answer = alice.post("/api/services", json={"name": "Site", "type": "hosting"})
        assert data_of(answer, 201) == data_of(alice.get(answer.headers["Location"]))

    def test_a_subscription_gets_the_numbers_it_lacks(self, alice: Person) -> None:
        cluster = alice.new_service(name="Cluster", type="kubernetes")
        assert cluster["billingId"] and cluster["clusterId"] and cluster["nextBilling"]
        hosting = alice.new_service(name="Site", type="hosting", billingId="B-7")
        assert hosting["billingId"] == "B-7"
        assert "clusterId" not in hosting

    def test_a_template_gives_the_first_configuration(self, alice: Person) -> None:
        created = alice.new_service(
            template="express-api", configuration={"networking": {"port": 4000}}
        )
        assert created["template"] == "express-api"
        assert created["configuration"]["networking"] == {"port": 4000}
        assert created["configuration"]["healthCheck"]["endpoint"] == "/health"

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"type": "api"}, "name"),
            ({"name": "x"}, "type"),
            ({"name": "", "type": "api"}, "name"),
            ({"name": "  ", "type": "api"}, "name"),
            ({"name": "x" * 256, "type": "api"}, "name"),
            ({"name": 7, "type": "api"}, "name"),
            ({"name": "x", "type": "toaster"}, "type"),
            ({"name": "x", "type": "api", "status": "suspended"}, "status"),
            ({"name": "x", "type": "hosting", "status": "maintenance"}, "status"),
            ({"name": "x", "type": "api", "endpoints": "/a"}, "endpoints"),
            ({"name": "x", "type": "api", "configuration": []}, "configuration"),
            ({"name": "x", "type": "api", "startDate": "yesterday"}, "startDate"),
            ({"name": "x", "type": "api", "template": "cobol"}, "template"),
            ({"name": "x", "type": "api", "userId": "somebody"}, "userId"),
            ({"name": "x", "type": "api", "endpoints": ["/a", 7]}, "endpoints.1"),
        ],
    )
    def test_a_broken_rule_is_named_by_field_and_leaves_no_row(
        self, alice: Person, fields: dict[str, object], field: str
    ) -> None:
        error = error_of(alice.post("/api/services", json=fields), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]
        assert data_of(alice.get("/api/services")) == []

    def test_only_an_admin_creates_for_somebody_else(self, alice: Person, admin: Person) -> None:
        fields = {"name": "Site", "type": "hosting", "ownerId": alice.user_id}
        assert data_of(admin.post("/api/services", json=fields), 201)["ownerId"] == alice.user_id
        fields["ownerId"] = admin.user_id
        error_of(alice.post("/api/services", json=fields), 403, "FORBIDDEN")
        fields["ownerId"] = "nobody"
        error_of(admin.post("/api/services", json=fields), 400, "VALIDATION_ERROR")


class TestReading:
    def test_both_identifiers_name_a_service(self, alice: Person) -> None:
        created = alice.new_service()
        for identifier in (created["id"], created["serviceId"]):
            assert data_of(alice.get(f"/api/services/{identifier}")) == created

    def test_an_unknown_one_is_not_found(self, alice: Person) -> None:
        error_of(alice.get("/api/services/none"), 404, "SERVICE_NOT_FOUND")
        error_of(alice.get("/api/services/a%00b"), 404, "NOT_FOUND")
        error_of(alice.get(f"/api/services/{'9' * 400}"), 404, "SERVICE_NOT_FOUND")

    def test_somebody_elses_is_forbidden_but_for_admins(
        self, alice: Person, charlie: Person, admin: Person
    ) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        error_of(charlie.get(path), 403, "FORBIDDEN")
        assert data_of(admin.get(path))

    def test_a_reader_who_has_the_state_gets_304(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        tag = alice.get(path).headers["ETag"]
        assert alice.get(path, headers={"If-None-Match": tag}).status_code == 304
        alice.patch(path, json={"description": "new"})
        assert alice.get(path, headers={"If-None-Match": tag}).status_code == 200


class TestActiveSubscriptions:
    def test_they_have_exactly_the_seeds_fields_in_order(self, alice: Person) -> None:
        alice.new_service(name="Site", type="hosting")
        alice.new_service(name="Cluster", type="kubernetes")
        answer = alice.get("/api/services/active")
        assert set(answer.json) == {"success", "data"}
        site, cluster = data_of(answer)
        assert list(site) == SEED_FIELDS
        assert list(cluster) == [*SEED_FIELDS[:4], "clusterId", *SEED_FIELDS[4:]]

    def test_they_are_the_callers_own_and_neither_cancelled_nor_components(
        self, alice: Person, admin: Person
    ) -> None:
        kept = alice.new_service(name="Kept", type="vps")
        suspended = alice.new_service(name="Suspended", type="vps", status="suspended")
        gone = alice.new_service(name="Gone", type="vps")
        alice.delete(f"/api/services/{gone['id']}")
        alice.new_service(name="Component", type="api")
        admin.new_service(name="Admin's", type="vps")
        names = [each["name"] for each in data_of(alice.get("/api/services/active"))]
        assert names == [kept["name"], suspended["name"]]

    def test_filters_and_sort_narrow_and_order_them(self, alice: Person) -> None:
        for name, kind in (("Beta", "vps"), ("alpha", "hosting"), ("Gamma", "hosting")):
            alice.new_service(name=name, type=kind)

        def names(query: str) -> list[str]:
            return [s["name"] for s in data_of(alice.get(f"/api/services/active?{query}"))]

        assert names("type=hosting") == ["alpha", "Gamma"]
        assert names("q=ALPH") == ["alpha"]
        assert names("status=cancelled") == []
        assert names("sort=-type,-name") == ["Beta", "alpha", "Gamma"]
        error_of(alice.get("/api/services/active?sort=price"), 400, "VALIDATION_ERROR")
        error_of(alice.get("/api/services/active?status=gone"), 400, "VALIDATION_ERROR")
        error_of(alice.get("/api/services/active?colour=red"), 400, "VALIDATION_ERROR")

    def test_an_unchanged_list_is_304(self, alice: Person) -> None:
        alice.new_service(type="vps")
        tag = alice.get("/api/services/active").headers["ETag"]
        assert alice.get("/api/services/active", headers={"If-None-Match": tag}).status_code == 304


class TestListing:
    @pytest.mark.parametrize("sort", ["name", "-name", "-createdAt", "nextBilling,-name", "type"])
    def test_pages_give_every_service_once_in_order(self, alice: Person, sort: str) -> None:
        for number in range(7):
            alice.new_service(name=f"Service {number % 3}", type=("api", "vps")[number % 2])
        whole = [s["id"] for s in data_of(alice.get(f"/api/services?sort={sort}"))]
        paged: list[str] = []
        cursor = ""
        while True:
            answer = alice.get(f"/api/services?sort={sort}&limit=2{cursor}")
            paged += [s["id"] for s in data_of(answer)]
            assert answer.json["meta"]["limit"] == 2
            if answer.json["meta"]["nextCursor"] is None:
                break
            cursor = f"&cursor={answer.json['meta']['nextCursor']}"
        assert paged == whole
        assert len(set(paged)) == 7

    def test_a_page_stays_right_when_rows_come_in_between(self, alice: Person) -> None:
        for name in "bdf":
            alice.new_service(name=name)
        first = alice.get("/api/services?sort=name&limit=2")
        alice.new_service(name="a")
        rest = alice.get(f"/api/services?sort=name&cursor={first.json['meta']['nextCursor']}")
        assert [s["name"] for s in data_of(rest)] == ["f"]

    @pytest.mark.parametrize(
        "cursor", ["x", "AAAA", "W10", "bnVsbA", "WyJuYW1lLGlkIixbMSwyXV0", "%00", "é"]
    )
    def test_a_made_up_cursor_is_refused(self, alice: Person, cursor: str) -> None:
        answer = alice.get(f"/api/services?sort=name&cursor={cursor}")
        assert "cursor" in error_of(answer, 400, "VALIDATION_ERROR")["details"]

    def test_a_cursor_of_another_order_is_refused(self, alice: Person) -> None:
        for name in "ab":
            alice.new_service(name=name)
        cursor = alice.get("/api/services?sort=name&limit=1").json["meta"]["nextCursor"]
        error_of(alice.get(f"/api/services?sort=type&cursor={cursor}"), 400, "VALIDATION_ERROR")

    def test_the_total_is_told_where_asked_for(self, alice: Person) -> None:
        alice.new_service()
        alice.new_service(project="shop")
        assert "total" not in alice.get("/api/services").json["meta"]
        assert alice.get("/api/services?count=true&limit=1").json["meta"]["total"] == 2
        assert alice.get("/api/services?count=true&project=shop").json["meta"]["total"] == 1

    @pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", ""])
    def test_a_limit_out_of_range_is_refused(self, alice: Person, limit: str) -> None:
        error_of(alice.get(f"/api/services?limit={limit}"), 400, "VALIDATION_ERROR")

    def test_a_repeated_parameter_is_refused(self, alice: Person) -> None:
        error_of(alice.get("/api/services?q=a&q=b"), 400, "VALIDATION_ERROR")

    def test_one_sees_own_and_shared_services_and_an_admin_all(
        self, alice: Person, bob: Person, charlie: Person, admin: Person
    ) -> None:
        alice.new_service(name="Private")
        alice.new_service(name="Shared", project="shop")
        project = data_of(alice.get("/api/projects"))[0]
        alice.put(f"/api/projects/{project['id']}/members/{bob.user_id}", json={"role": "viewer"})

        def seen(person: Person) -> set[str]:
            return {s["name"] for s in data_of(person.get("/api/services"))}

        assert seen(alice) == seen(admin) == {"Private", "Shared"}
        assert seen(bob) == {"Shared"}
        assert seen(charlie) == set()

    @pytest.mark.parametrize("path", ["/api/services", "/api/services/active"])
    def test_a_list_costs_few_statements_however_long_it_is(
        self, alice: Person, statements: list[str], path: str
    ) -> None:
        def cost() -> int:
            statements.clear()
            data_of(alice.get(path))
            return len([s for s in statements if not s.startswith(("BEGIN", "PRAGMA"))])

        alice.new_service(type="vps", project="shop")
        short = cost()
        for number in range(20):
            alice.new_service(type="vps", project=f"project {number}")
        assert cost() == short <= 2


class TestChanging:
    def test_fields_and_configuration_change_together(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        changes = {"name": "Orders 2", "endpoints": ["/api/a"], "configuration": {"port": 3000}}
        changed = data_of(alice.patch(path, json=changes))
        assert changes.items() <= changed.items()
        assert data_of(alice.get(path)) == changed

    def test_two_editors_never_overwrite_each_other(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        tag = alice.get(path).headers["ETag"]
        first = alice.patch(path, json={"name": "First"}, headers={"If-Match": tag})
        assert data_of(first)["name"] == "First"
        second = alice.patch(path, json={"name": "Second"}, headers={"If-Match": tag})
        error = error_of(second, 412, "VERSION_CONFLICT")
        assert error["details"]["current"] == first.headers["ETag"]
        again = alice.patch(
            path, json={"name": "Second"}, headers={"If-Match": first.headers["ETag"]}
        )
        assert data_of(again)["name"] == "Second"

    def test_a_change_that_changes_nothing_leaves_no_trace(self, alice: Person) -> None:
        service = alice.new_service()
        path = f"/api/services/{service['id']}"
        assert data_of(alice.patch(path, json={"name": service["name"]})) == service
        assert [e["action"] for e in data_of(alice.get("/api/audit"))] == ["service.created"]

    def test_a_service_keeps_its_family(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service(type='api')['id']}"
        error_of(alice.patch(path, json={"type": "vps"}), 400, "VALIDATION_ERROR")
        changed = data_of(alice.patch(path, json={"type": "data"}))
        assert (changed["type"], changed["icon"]) == ("data", "file-tray-full-outline")

    def test_a_forbidden_step_undoes_the_whole_change(self, alice: Person) -> None:
        service = alice.new_service(type="vps")
        path = f"/api/services/{service['id']}"
        answer = alice.patch(path, json={"name": "Other", "status": "maintenance"})
        error_of(answer, 409, "INVALID_TRANSITION")
        assert data_of(alice.get(path)) == service

    def test_an_unknown_field_is_refused(self, alice: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}"
        for field in ("ownerId", "user_id", "id", "version", "serviceId"):
            error_of(alice.patch(path, json={field: "x"}), 400, "VALIDATION_ERROR")


class TestIdempotency:
    FIELDS = {"name": "Orders API", "type": "api"}

    def create(self, person: Person, key: str, **changes: object) -> object:
        return person.post(
            "/api/services", json=self.FIELDS | changes, headers={"Idempotency-Key": key}
        )

    def test_the_same_request_gives_the_first_answer_and_does_nothing(self, alice: Person) -> None:
        first, second = self.create(alice, "k1"), self.create(alice, "k1")
        assert (first.data, first.status_code) == (second.data, second.status_code)
        assert first.headers["Location"] == second.headers["Location"]
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len(data_of(alice.get("/api/services"))) == 1

    def test_another_body_under_the_key_is_a_conflict(self, alice: Person) -> None:
        self.create(alice, "k1")
        error_of(self.create(alice, "k1", name="Other"), 409, "IDEMPOTENCY_KEY_REUSED")

    def test_a_failed_request_does_not_use_up_its_key(self, alice: Person) -> None:
        error_of(self.create(alice, "k1", type="toaster"), 400, "VALIDATION_ERROR")
        data_of(self.create(alice, "k1"), 201)

    def test_keys_of_two_people_are_two_keys(self, alice: Person, bob: Person) -> None:
        one, other = data_of(self.create(alice, "k"), 201), data_of(self.create(bob, "k"), 201)
        assert one["id"] != other["id"]

    def test_after_a_day_a_key_is_a_new_one(self, alice: Person) -> None:
        first = data_of(self.create(alice, "k"), 201)
        with fixed_at(now() + timedelta(hours=23, minutes=59)):
            assert data_of(self.create(alice, "k"), 201) == first
        app = alice.client.application
        with fixed_at(now() + timedelta(hours=25)), app.app_context():
            alice.token = new_access_token(get_user(alice.user_id))
            assert data_of(self.create(alice, "k", name="Later"), 201)["id"] != first["id"]

    def test_a_key_out_of_range_is_refused(self, alice: Person) -> None:
        error_of(self.create(alice, "k" * 256), 400, "VALIDATION_ERROR")


def test_confirmation_is_asked_for_where_the_operator_wants_it(
    make_app: MakeApp, new_person: NewPerson
) -> None:
    app: Flask = make_app(CONFIRM_DELETE="true")
    alice = new_person("Alice", of=app)
    path = f"/api/services/{alice.new_service(name='Orders API')['id']}"
    error_of(alice.delete(path), 400, "VALIDATION_ERROR")
    error_of(alice.delete(f"{path}?confirm=orders"), 400, "VALIDATION_ERROR")
    error_of(alice.patch(path, json={"status": "cancelled"}), 400, "VALIDATION_ERROR")
    cancelled = alice.delete(path, headers={"X-Confirm-Name": "Orders API"})
    assert data_of(cancelled)["status"] == "cancelled"
