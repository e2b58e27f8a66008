"""Admins, and how the first one comes to be."""

import pytest

from tests.conftest import PASSWORD


@pytest.mark.parametrize("path", ["/admin/users", "/admin/tasks"])
def test_others_stay_outside(client, alice, path):
    assert client.get(path, headers=alice).status_code == 403
    assert client.get(path).status_code == 401


def test_an_account_that_is_switched_off_gets_no_further(client, admin, alice):
    users = client.get("/admin/users", headers=admin).json["items"]
    (user_id,) = (each["id"] for each in users if each["email"] == "alice@example.com")
    change = client.patch(f"/admin/users/{user_id}", headers=admin, json={"active": False})
    assert change.json["active"] is False
    assert client.get("/auth/me", headers=alice).status_code == 401
    login = {"email": "alice@example.com", "password": PASSWORD}
    assert client.post("/auth/login", json=login).status_code == 401


def test_an_admin_cannot_lock_themselves_out(client, admin):
    own = client.get("/auth/me", headers=admin).json["id"]
    answer = client.patch(f"/admin/users/{own}", headers=admin, json={"role": "user"})
    assert answer.status_code == 409


def test_the_command_makes_an_admin(app, client):
    arguments = ["create-admin", "root@example.com", "--password", PASSWORD]
    assert app.test_cli_runner().invoke(args=arguments).exit_code == 0
    login = {"email": "root@example.com", "password": PASSWORD}
    token = client.post("/auth/login", json=login).json["accessToken"]
    users = client.get("/admin/users", headers={"Authorization": f"Bearer {token}"})
    assert [each["role"] for each in users.json["items"]] == ["admin"]
    again = app.test_cli_runner().invoke(args=arguments)
    assert (again.exit_code, again.output.count("There is an account")) == (1, 1)
