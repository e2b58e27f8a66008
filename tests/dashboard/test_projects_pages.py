"""Projects and their members, as pages."""

import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import NewPerson
from tests.dashboard.browsing import text_of, typed_in
from tests.dashboard.conftest import SignIn
from tests.people import Person, data_of


def made_project(person: Person, name: str = "shop") -> str:
    return str(data_of(person.post("/api/projects", json={"name": name}), 201)["id"])


def led_to(answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def roles(person: Person, project: str) -> dict[str, str]:
    members = data_of(person.get(f"/api/projects/{project}/members"))
    return {each["userId"]: each["role"] for each in members}


def share(owner: Person, project: str, member: Person, role: str) -> None:
    path = f"/api/projects/{project}/members/{member.user_id}"
    data_of(owner.put(path, json={"role": role}))


class TestTheList:
    def test_an_empty_one_says_what_to_do(self, browser_of: SignIn, alice: Person) -> None:
        browser = browser_of(alice)
        assert "No project yet" in browser.get("/projects").text
        assert "No project has this name" in browser.get("/projects?q=x").text

    def test_it_tells_of_services_members_and_ones_role(
        self, browser_of: SignIn, alice: Person, bob: Person, charlie: Person
    ) -> None:
        project = made_project(alice)
        share(alice, project, bob, "viewer")
        kept = alice.new_service(project="shop")
        ended = alice.new_service(project="shop")
        alice.new_service(project="shop")
        data_of(alice.post(f"/api/services/{ended['id']}/suspend"))
        page = browser_of(bob).get("/projects").text
        shown = re.sub(r"<[^>]+>", " ", page)
        assert re.search(r"2\s+active", shown)
        assert re.search(r"1\s+inactive", shown)
        assert "viewer" in shown
        assert re.search(r"2 members\s+· owned by Alice", shown)
        assert "shop" not in browser_of(charlie).get("/projects").text
        assert kept["status"] == "active"

    def test_it_goes_on_over_pages_and_finds(self, browser_of: SignIn, alice: Person) -> None:
        for number in range(51):
            made_project(alice, f"project-{number:02}")
        browser = browser_of(alice)
        first = browser.get("/projects").text
        assert "project-50" not in first
        following = re.search(r'href="(/projects\?cursor=[^"]+)"', first)
        assert following
        assert "project-50" in browser.get(following[1].replace("&amp;", "&")).text
        found = browser.get("/projects?q=JECT-07").text
        assert "project-07" in found
        assert "project-08" not in found


class TestMaking:
    def test_a_new_one_belongs_to_who_made_it(self, browser_of: SignIn, alice: Person) -> None:
        browser = browser_of(alice)
        given = {"name": "shop", "description": "Coffee & more"}
        path = led_to(browser.post("/projects/new", data=given))
        page = browser.get(path).text
        assert "Coffee &amp; more" in page
        assert roles(alice, path.rsplit("/", 1)[1]) == {alice.user_id: "owner"}

    def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        made_project(bob)
        browser = browser_of(alice)
        taken = browser.post("/projects/new", data={"name": "shop", "description": "Mine"})
        assert taken.status_code == 409
        assert "There is a project with this name." in taken.text
        assert "Mine</textarea>" in taken.text
        blank = browser.post("/projects/new", data={"name": "  ", "description": "Mine"})
        assert blank.status_code == 400
        assert "Must not be blank" in blank.text
        odd = browser.post("/projects/new", data={"name": "a\x00b"})
        assert odd.status_code == 400


class TestOneProject:
    def test_it_shows_services_and_members(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        project = made_project(alice)
        share(alice, project, bob, "editor")
        service = alice.new_service(name="Checkout", project="shop")
        alice.new_service(name="Elsewhere")
        page = browser_of(alice).get(f"/projects/{project}").text
        assert f"/services/{service['serviceId']}" in page
        assert "Elsewhere" not in page
        assert bob.email in page

    def test_each_sees_what_it_may_do_and_no_more(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        project = made_project(alice)
        path = f"/projects/{project}"
        offered = {
            "owner": ("/edit", "/delete", "/members/add", f"/members/{alice.user_id}"),
            "editor": ("/edit",),
            "viewer": (),
        }
        for role, allowed in offered.items():
            share(alice, project, bob, role)
            browser = browser_of(bob)
            page = browser.get(path).text
            for place in offered["owner"]:
                assert (f'href="{path}{place}"' in page) == (place in allowed), (role, place)
                status = browser.get(f"{path}{place}").status_code
                assert status == (200 if place in allowed else 403), (role, place)
            assert f'href="{path}/members/{bob.user_id}/remove"' in page

    def test_somebody_elses_says_so(
        self, browser_of: SignIn, alice: Person, charlie: Person
    ) -> None:
        project = made_project(alice)
        assert browser_of(charlie).get(f"/projects/{project}").status_code == 403
        assert browser_of(charlie).get("/projects/none").status_code == 404

    def test_it_is_renamed_and_described(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        made_project(bob, "taken")
        project = made_project(alice)
        browser = browser_of(alice)
        form = browser.get(f"/projects/{project}/edit").text
        assert 'value="shop"' in form
        refused = browser.post(
            f"/projects/{project}/edit", data={"name": "taken", "description": "New"}
        )
        assert refused.status_code == 409
        assert "New</textarea>" in refused.text
        given = {"name": "store", "description": "New"}
        assert led_to(browser.post(f"/projects/{project}/edit", data=given)).endswith(project)
        assert data_of(alice.get(f"/api/projects/{project}")) | given == data_of(
            alice.get(f"/api/projects/{project}")
        )

    def test_who_saved_first_is_not_overwritten(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        project = made_project(alice)
        share(alice, project, bob, "editor")
        browser = browser_of(bob)
        path = f"/projects/{project}/edit"
        form = typed_in(browser.get(path).text) | {"name": "store"}
        data_of(alice.patch(f"/api/projects/{project}", json={"description": "By Alice"}))
        refused = browser.post(path, data=form)
        assert refused.status_code == 409
        assert 'value="store"' in refused.text
        assert "Saved now: By Alice" in text_of(refused.text)
        assert data_of(alice.get(f"/api/projects/{project}"))["name"] == "shop"
        assert led_to(browser.post(path, data=typed_in(refused.text))).endswith(project)
        assert data_of(alice.get(f"/api/projects/{project}"))["name"] == "store"

    def test_only_an_empty_one_is_removed(self, browser_of: SignIn, alice: Person) -> None:
        project, empty = made_project(alice), made_project(alice, "empty")
        alice.new_service(project="shop")
        browser = browser_of(alice)
        question = browser.get(f"/projects/{project}/delete").text
        assert "1 service still belongs to this project" in question
        assert 'method="post" action="/projects' not in question
        assert browser.post(f"/projects/{project}/delete").status_code == 409
        assert "can’t be undone" in browser.get(f"/projects/{empty}/delete").text
        assert led_to(browser.post(f"/projects/{empty}/delete")) == "/projects"
        assert alice.get(f"/api/projects/{empty}").status_code == 404
        assert data_of(alice.get(f"/api/projects/{project}"))["name"] == "shop"


class TestMembers:
    def add(self, browser: FlaskClient, project: str, email: str, role: str) -> TestResponse:
        given = {"email": email, "role": role}
        return browser.post(f"/projects/{project}/members/add", data=given)

    def test_they_are_added_by_address(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        project = made_project(alice)
        browser = browser_of(alice)
        led_to(self.add(browser, project, bob.email.upper(), "editor"))
        assert roles(alice, project)[bob.user_id] == "editor"
        assert f"{bob.email.upper()} takes part now." in browser.get(f"/projects/{project}").text

    def test_an_unknown_address_is_said_and_kept(
        self, browser_of: SignIn, alice: Person, admin: Person, bob: Person
    ) -> None:
        data_of(admin.patch(f"/api/users/{bob.user_id}", json={"active": False}))
        project = made_project(alice)
        for email in ("nobody@example.com", "nonsense", bob.email):
            refused = self.add(browser_of(alice), project, email, "editor")
            assert refused.status_code == 400
            assert "There is no account with this address" in refused.text
            assert f'value="{email}"' in refused.text
            assert re.search(r'value="editor" checked', refused.text)
        wrong_role = self.add(browser_of(alice), project, bob.email, "king")
        assert wrong_role.status_code == 400

    def test_roles_change_until_the_last_owner(
        self, browser_of: SignIn, alice: Person, bob: Person
    ) -> None:
        project = made_project(alice)
        share(alice, project, bob, "viewer")
        browser = browser_of(alice)
        led_to(browser.post(f"/projects/{project}/members/{bob.user_id}", data={"role": "owner"}))
        assert roles(alice, project)[bob.user_id] == "owner"
        led_to(
            browser.post(f"/projects/{project}/members/{alice.user_id}", data={"role": "viewer"})
        )
        alone = browser_of(bob).post(
            f"/projects/{project}/members/{bob.user_id}", data={"role": "viewer"}
        )
        assert alone.status_code == 409
        assert "keeps at least one owner" in alone.text
        assert roles(bob, project) == {alice.user_id: "viewer", bob.user_id: "owner"}

    def test_they_are_removed_and_leave(
        self, browser_of: SignIn, alice: Person, bob: Person, charlie: Person
    ) -> None:
        project = made_project(alice)
        for person in (bob, charlie):
            share(alice, project, person, "viewer")
        owner, leaving = browser_of(alice), browser_of(charlie)
        path = f"/projects/{project}/members"
        assert "Remove Bob?" in owner.get(f"{path}/{bob.user_id}/remove").text
        assert led_to(owner.post(f"{path}/{bob.user_id}/remove")) == f"/projects/{project}"
        assert "Leave shop?" in leaving.get(f"{path}/{charlie.user_id}/remove").text
        assert leaving.get(f"{path}/{alice.user_id}/remove").status_code == 403
        assert led_to(leaving.post(f"{path}/{charlie.user_id}/remove")) == "/projects"
        assert roles(alice, project) == {alice.user_id: "owner"}
        assert owner.post(f"{path}/{alice.user_id}/remove").status_code == 409


class TestByTheApi:
    def test_members_are_added_by_address(
        self, alice: Person, bob: Person, new_person: NewPerson
    ) -> None:
        project = made_project(alice)
        path = f"/api/projects/{project}/members"
        given = {"email": bob.email, "role": "editor"}
        members = data_of(alice.post(path, json=given))
        assert {each["email"]: each["role"] for each in members} == {
            alice.email: "owner",
            bob.email: "editor",
        }
        refused = alice.post(path, json=given | {"email": "nobody@example.com"})
        assert refused.status_code == 400
        assert list(refused.json["error"]["details"]) == ["email"]
        assert bob.post(path, json=given).status_code == 403
