"""Letters: forgotten passwords and invitations, sent to a real mail server or to the console."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask

from cms_services.accounts.models import Invitation, PasswordReset
from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.mail.models import Letter
from cms_services.settings import current_settings
from cms_services.worker.letters import send_due_letters
from tests.conftest import MakeApp, NewPerson
from tests.local_servers import free_port
from tests.people import PASSWORD, Person, data_of, error_of

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
NEW = "Another-horse-8"
PUBLIC = "https://services.example.com"


class Mailbox:
    """A mail server's handler that keeps what arrives, or refuses it."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.refusal: str | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusal is not None:
            return self.refusal
        message: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.letters.append(message)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 taken"


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def mail_app(make_app: MakeApp, mailbox: Mailbox) -> Iterator[Flask]:
    """An application that sends its letters to the mailbox."""
    with serving(mailbox) as port:
        yield make_app(
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(port),
            SMTP_SECURITY="none",
            MAIL_FROM="post@services.example.com",
            PUBLIC_URL=PUBLIC,
            REGISTRATION="invite",
        )


def send(app: Flask) -> int:
    """What the worker does every few seconds."""
    with app.app_context():
        return send_due_letters(current_settings())


def letters_left(app: Flask) -> int:
    with app.app_context():
        return db.session.query(Letter).count()


def link_in(letter: EmailMessage) -> str:
    found = re.search(rf"{PUBLIC}(/\S+)", letter.get_content())
    assert found, letter
    return found[1]


def token_in(letter: EmailMessage) -> str:
    return link_in(letter).partition("=")[2].partition("&")[0]


class TestAForgottenPassword:
    def forgot(self, app: Flask, email: str) -> None:
        answer = app.test_client().post("/api/auth/password/forgot", json={"email": email})
        assert data_of(answer, 202) == {"done": True}

    def reset(self, app: Flask, token: str, password: str = NEW) -> Any:
        given = {"token": token, "password": password}
        return app.test_client().post("/api/auth/password/reset", json=given)

    @pytest.fixture
    def alice(self, mail_app: Flask, new_person: NewPerson) -> Person:
        return new_person("Alice", of=mail_app)

    def test_the_letters_token_sets_a_new_one_once(
        self, mail_app: Flask, mailbox: Mailbox, alice: Person
    ) -> None:
        self.forgot(mail_app, "ALICE@example.com")
        assert mailbox.letters == []
        assert send(mail_app) == 1
        (letter,) = mailbox.letters
        assert (letter["To"], letter["From"]) == (alice.email, "post@services.example.com")
        assert mailbox.envelopes == [("post@services.example.com", [alice.email])]
        assert letters_left(mail_app) == 0
        token = token_in(letter)
        error_of(self.reset(mail_app, token, "weak"), 400, "VALIDATION_ERROR")
        data_of(self.reset(mail_app, token))
        error_of(alice.get("/api/auth/me"), 401, "TOKEN_REVOKED")
        client = mail_app.test_client()
        for password, status in ((PASSWORD, 401), (NEW, 200)):
            given = {"email": alice.email, "password": password}
            assert client.post("/api/auth/login", json=given).status_code == status
        assert list(error_of(self.reset(mail_app, token), 400, "VALIDATION_ERROR")["details"]) == [
            "token"
        ]
        # Its owner hears of it, and an admin reads of it without the password.
        send(mail_app)
        assert mailbox.letters[-1]["Subject"] == "Your password was changed"

    def test_an_unknown_address_is_answered_alike_and_gets_no_letter(
        self, mail_app: Flask, mailbox: Mailbox, alice: Person, admin: Person
    ) -> None:
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": False}))
        for email in ("nobody@example.com", "no address", alice.email):
            self.forgot(mail_app, email)
        assert send(mail_app) == 0
        assert mailbox.letters == [] and letters_left(mail_app) == 0

    def test_it_is_good_for_an_hour_and_a_newer_one_ends_it(
        self, mail_app: Flask, mailbox: Mailbox, alice: Person
    ) -> None:
        with fixed_at(NOON):
            for _ in range(2):
                self.forgot(mail_app, alice.email)
                send(mail_app)
        first, second = (token_in(letter) for letter in mailbox.letters)
        with fixed_at(NOON + timedelta(minutes=59)):
            error_of(self.reset(mail_app, first), 400, "VALIDATION_ERROR")
        with fixed_at(NOON + timedelta(hours=1)):
            error_of(self.reset(mail_app, second), 400, "VALIDATION_ERROR")
        with fixed_at(NOON + timedelta(minutes=59)):
            data_of(self.reset(mail_app, second))

    def test_nothing_in_the_database_opens_anything(
        self, mail_app: Flask, mailbox: Mailbox, alice: Person
    ) -> None:
        self.forgot(mail_app, alice.email)
        with mail_app.app_context():
            before = str(db.session.execute(db.select(Letter.__table__)).all())
        send(mail_app)
        token = token_in(mailbox.letters[0])
        with mail_app.app_context():
            after = str(db.session.execute(db.select(PasswordReset.__table__)).all())
        assert "token" not in before and token not in after

    def test_the_links_host_is_ours_whatever_the_request_says(
        self, mail_app: Flask, mailbox: Mailbox, alice: Person
    ) -> None:
        client = mail_app.test_client()
        client.post(
            "/api/auth/password/forgot",
            json={"email": alice.email},
            headers={"Host": "evil.example.net", "X-Forwarded-Host": "evil.example.net"},
        )
        send(mail_app)
        assert "evil" not in mailbox.letters[0].as_string()

    def test_by_the_pages_too(self, mail_app: Flask, mailbox: Mailbox, alice: Person) -> None:
        browser = mail_app.test_client()
        asked = browser.post("/password/forgot", data={"email": alice.email})
        assert "on its way" in asked.text
        send(mail_app)
        link = link_in(mailbox.letters[0])
        page = browser.get(link)
        token = token_in(mailbox.letters[0])
        assert page.status_code == 200 and f'value="{token}"' in page.text
        weak = browser.post("/password/reset", data={"token": token, "password": "weak"})
        assert weak.status_code == 400 and f'value="{token}"' in weak.text
        done = browser.post("/password/reset", data={"token": token, "password": NEW})
        assert (done.status_code, done.headers["Location"]) == (303, "/login?notice=password")
        assert "new password is set" in browser.get("/login?notice=password").text


class TestInvitations:
    EMAIL = "new@example.com"

    @pytest.fixture
    def admin(self, mail_app: Flask, new_person: NewPerson) -> Person:
        from cms_services.vocabulary import Role

        return new_person("Ada", Role.ADMIN, of=mail_app)

    def invite(self, app: Flask, admin: Person, mailbox: Mailbox, **fields: Any) -> str:
        data_of(admin.post("/api/invitations", json={"email": self.EMAIL} | fields), 201)
        assert send(app) == 1
        assert mailbox.letters[-1]["To"] == self.EMAIL
        return token_in(mailbox.letters[-1])

    def register(self, app: Flask, invitation: str | None, **fields: Any) -> Any:
        given = {"email": self.EMAIL, "password": PASSWORD, "invitation": invitation} | fields
        return app.test_client().post("/api/auth/register", json=given)

    def test_whom_an_admin_invited_makes_the_account_once(
        self, mail_app: Flask, mailbox: Mailbox, admin: Person
    ) -> None:
        error_of(self.register(mail_app, None), 400, "VALIDATION_ERROR")
        error_of(self.register(mail_app, "junk"), 400, "VALIDATION_ERROR")
        token = self.invite(mail_app, admin, mailbox, role="admin")
        (listed,) = data_of(admin.get("/api/invitations"))
        assert (listed["email"], listed["role"]) == (self.EMAIL, "admin")
        other = self.register(mail_app, token, email="other@example.com")
        assert list(error_of(other, 400, "VALIDATION_ERROR")["details"]) == ["email"]
        made = data_of(self.register(mail_app, token, name="New"), 201)
        assert (made["email"], made["role"]) == (self.EMAIL, "admin")
        error_of(self.register(mail_app, token), 400, "VALIDATION_ERROR")
        assert data_of(admin.get("/api/invitations")) == []

    def test_it_expires_is_replaced_and_is_taken_back(
        self, mail_app: Flask, mailbox: Mailbox, admin: Person
    ) -> None:
        first = self.invite(mail_app, admin, mailbox)
        second = self.invite(mail_app, admin, mailbox)
        error_of(self.register(mail_app, first), 400, "VALIDATION_ERROR")
        with fixed_at(now() + timedelta(days=7)):
            error_of(self.register(mail_app, second), 400, "VALIDATION_ERROR")
        (listed,) = data_of(admin.get("/api/invitations"))
        data_of(admin.delete(f"/api/invitations/{listed['id']}"))
        error_of(self.register(mail_app, second), 400, "VALIDATION_ERROR")
        error_of(admin.delete(f"/api/invitations/{listed['id']}"), 404, "NOT_FOUND")

    def test_a_letter_of_one_that_was_taken_back_is_not_sent(
        self, mail_app: Flask, mailbox: Mailbox, admin: Person
    ) -> None:
        made = data_of(admin.post("/api/invitations", json={"email": self.EMAIL}), 201)
        data_of(admin.delete(f"/api/invitations/{made['id']}"))
        assert send(mail_app) == 0 and mailbox.letters == []

    def test_who_has_an_account_is_not_invited(self, admin: Person) -> None:
        error_of(admin.post("/api/invitations", json={"email": admin.email}), 409, "CONFLICT")
        bad = admin.post("/api/invitations", json={"email": "no address"})
        error_of(bad, 400, "VALIDATION_ERROR")

    def test_where_registration_is_closed_nobody_is(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        from cms_services.vocabulary import Role

        admin = new_person("Ada", Role.ADMIN, of=make_app())
        error_of(admin.post("/api/invitations", json={"email": self.EMAIL}), 409, "CONFLICT")

    def test_by_the_page_too(self, mail_app: Flask, mailbox: Mailbox, admin: Person) -> None:
        self.invite(mail_app, admin, mailbox)
        browser = mail_app.test_client()
        page = browser.get(link_in(mailbox.letters[0])).text
        assert f'value="{self.EMAIL}"' in page
        form = {"email": self.EMAIL, "invitation": token_in(mailbox.letters[0]), "name": "N"}
        weak = browser.post("/register", data=form | {"password": "weak"})
        assert weak.status_code == 400 and 'value="N"' in weak.text
        done = browser.post("/register", data=form | {"password": PASSWORD})
        assert done.status_code == 303
        signed_in = browser.post("/login", data={"email": self.EMAIL, "password": PASSWORD})
        assert signed_in.headers["Location"] == "/"
        with mail_app.app_context():
            assert db.session.query(Invitation).count() == 0


class TestDelivery:
    def forgot(self, app: Flask, email: str) -> None:
        client = app.test_client()
        data_of(client.post("/api/auth/password/forgot", json={"email": email}), 202)

    def test_what_the_server_refuses_is_tried_again_later_and_given_up_at_last(
        self, mail_app: Flask, mailbox: Mailbox, new_person: NewPerson
    ) -> None:
        alice = new_person("Alice", of=mail_app)
        mailbox.refusal = "451 come back later"
        with fixed_at(NOON):
            self.forgot(mail_app, alice.email)
            assert send(mail_app) == 0
            mailbox.refusal = None
            assert send(mail_app) == 0  # not due yet
        with fixed_at(NOON + timedelta(minutes=2)):
            assert send(mail_app) == 1
        assert len(mailbox.letters) == 1
        mailbox.refusal = "554 never"
        self.forgot(mail_app, alice.email)
        attempts = 0
        for hours in range(0, 80, 4):
            with fixed_at(now() + timedelta(hours=hours)):
                send(mail_app)
                attempts += letters_left(mail_app)
        assert letters_left(mail_app) == 0 and attempts == 9

    def test_without_a_server_it_is_printed_for_the_operator(
        self, make_app: MakeApp, new_person: NewPerson, capsys: pytest.CaptureFixture[str]
    ) -> None:
        app = make_app(PORT="8123")
        alice = new_person("Alice", of=app)
        self.forgot(app, alice.email)
        assert send(app) == 1
        told = capsys.readouterr()
        assert alice.email in told.err and "SMTP_HOST is not set" in told.err
        # The link is whole, to be copied as it stands.
        found = re.search(
            r"^ +http://127\.0\.0\.1:8123(/password/reset\?token=\S+)$", told.err, re.M
        )
        assert found
        assert app.test_client().get(found[1]).status_code == 200
        data_of(
            app.test_client().post(
                "/api/auth/password/reset",
                json={"token": found[1].partition("=")[2], "password": NEW},
            )
        )
        assert "token=" not in told.out

    def test_by_tls_with_a_name_and_password(
        self,
        make_app: MakeApp,
        new_person: NewPerson,
        mailbox: Mailbox,
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        shown: list[tuple[bytes, bytes]] = []

        def authenticate(server: Any, session: Any, envelope: Any, way: str, data: Any) -> Any:
            shown.append((data.login, data.password))
            return AuthResult(success=data.password == b"mail-secret-7", handled=False)

        options = {
            "tls_context": context,
            "authenticator": authenticate,
            "auth_required": True,
            "require_starttls": True,
        }
        with serving(mailbox, **options) as port:
            for password, sent in (("wrong", 0), ("mail-secret-7", 1)):
                app = make_app(
                    SMTP_HOST="localhost",
                    SMTP_PORT=str(port),
                    SMTP_USER="cms",
                    SMTP_PASSWORD=password,
                )
                if not sent:
                    alice = new_person("Alice", of=app)
                self.forgot(app, alice.email)
                with fixed_at(now() + timedelta(minutes=10 * sent)):
                    assert (send(app) > 0) == bool(sent)
        assert shown[0] == (b"cms", b"wrong") and mailbox.letters

    def test_a_server_whose_certificate_is_not_trusted_gets_nothing(
        self, make_app: MakeApp, new_person: NewPerson, mailbox: Mailbox, certificate: Path
    ) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        with serving(mailbox, tls_context=context) as port:
            app = make_app(SMTP_HOST="localhost", SMTP_PORT=str(port))
            self.forgot(app, new_person("Alice", of=app).email)
            assert send(app) == 0
        assert mailbox.letters == [] and letters_left(app) == 1


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key for localhost, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begins = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
