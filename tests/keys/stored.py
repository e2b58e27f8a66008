"""What is stored sealed, found without the table of places that the application goes by."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import JSON, String, Text, cast, select

from cms_services.configuration.models import ConfigurationVersion
from cms_services.encryption import Vault, current_vault
from cms_services.extensions import db
from tests.people import PASSWORD, Person, data_of

_SEALED = re.compile(r"v1:([0-9a-f]{8}):[A-Za-z0-9+/]+=*")


def rows(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of the database by its table, texts and documents as the text that they are."""
    found = {}
    with app.app_context(), db.engine.connect() as connection:
        for table in db.metadata.sorted_tables:
            shown = [
                cast(each, Text).label(each.name) if isinstance(each.type, JSON | String) else each
                for each in table.columns
            ]
            query = select(*shown).order_by(*table.primary_key)
            found[table.name] = [dict(row) for row in connection.execute(query).mappings()]
    return found


def key_ids(app: Flask) -> dict[str, Counter[str]]:
    """For each column that holds sealed values, how many each key has sealed."""
    found: dict[str, Counter[str]] = {}
    for table, held in rows(app).items():
        for row in held:
            for column, value in row.items():
                ids = _SEALED.findall(value) if isinstance(value, str) else []
                if ids:
                    found.setdefault(f"{table}.{column}", Counter()).update(ids)
    return found


def keys_in_use(app: Flask) -> set[str]:
    return {key_id for ids in key_ids(app).values() for key_id in ids}


def without_sealed(app: Flask, *but: str) -> dict[str, list[dict[str, Any]]]:
    """Every row with a mark for each sealed value, but for some tables."""
    return {
        table: [
            {c: _SEALED.sub("sealed", v) if isinstance(v, str) else v for c, v in row.items()}
            for row in held
        ]
        for table, held in rows(app).items()
        if table not in but
    }


def secrets_of(app: Flask, service_id: str, number: int | None = None) -> dict[str, str]:
    """The secrets of a service, or of a version of its configuration, as they open."""
    from cms_services.catalogue.models import Service

    with app.app_context():
        if number is None:
            document = db.session.get_one(Service, service_id).config
        else:
            document = db.session.get_one(ConfigurationVersion, (service_id, number)).document
        return {
            name: current_vault().open(each["sealed"], f"service:{service_id}:environment.{name}")
            for name, each in document["environment"].items()
            if isinstance(each, dict)
        }


def vault_of(app: Flask) -> Vault:
    vault: Vault = app.extensions["cms_services.vault"]
    return vault


def secret(value: str) -> dict[str, Any]:
    """A secret variable as it is sent."""
    return {"value": value, "secret": True}


def new_service(person: Person, **secrets: str) -> str:
    """A service with these secrets, and its id."""
    environment = {"MODE": "production"} | {k: secret(v) for k, v in secrets.items()}
    created = person.new_service(configuration={"port": 3000, "environment": environment})
    return str(created["id"])


def enrol(person: Person) -> str:
    """Begin with a second factor, and return its secret."""
    given = {"password": PASSWORD}
    return str(data_of(person.post("/api/auth/second-factor", json=given), 201)["secret"])


def key_lines(folder: Path, name: str = "encryption.key") -> list[str]:
    return (folder / name).read_text().split()
