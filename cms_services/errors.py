"""What can go wrong in the domain. Codes are public; HTTP is not known here."""

from typing import Any

from cms_services.wording import worded


class DomainError(Exception):
    """A refusal that the caller can understand and mend."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationFailed(DomainError):
    """Input that breaks a rule. `details` maps a field's path to a list of messages."""

    code = "VALIDATION_ERROR"

    def __init__(self, details: dict[str, list[str]], message: str | None = None) -> None:
        fields = ", ".join(sorted(details)[:5])
        more = len(details) - 5
        if message is None and more > 0:
            message = worded(
                "Check these fields: %(fields)s and %(more)s more.", fields=fields, more=more
            )
        super().__init__(
            message or worded("Check these fields: %(fields)s.", fields=fields), details
        )


class MalformedBody(DomainError):
    """A body that cannot be read as what its content type says."""

    code = "MALFORMED_BODY"


class UnknownAction(DomainError):
    code = "UNKNOWN_ACTION"


class AmbiguousAction(DomainError):
    code = "AMBIGUOUS_ACTION"


class MethodNotAllowed(DomainError):
    """The action exists, but not by this method. `details` carries the allowed ones."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, action: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"{action} changes data: send it by {' or '.join(allowed)}.", {"allowed": list(allowed)}
        )
        self.allowed = allowed


class Unauthenticated(DomainError):
    """Nobody is signed in, or the credentials are wrong."""

    code = "UNAUTHENTICATED"


class SecondFactorRequired(DomainError):
    """The password is right; the account's second factor is still to be shown."""

    code = "SECOND_FACTOR_REQUIRED"


class TokenExpired(DomainError):
    code = "TOKEN_EXPIRED"


class TokenRevoked(DomainError):
    code = "TOKEN_REVOKED"


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class NotFound(DomainError):
    code = "NOT_FOUND"


class ServiceNotFound(NotFound):
    code = "SERVICE_NOT_FOUND"

    def __init__(self, identifier: str) -> None:
        super().__init__(worded("There is no service %(name)r.", name=identifier[:255]))


class InvalidTransition(DomainError):
    """The transition table lacks this step. `details` names from, to and what is allowed."""

    code = "INVALID_TRANSITION"


class Conflict(DomainError):
    """The request contradicts what is stored."""

    code = "CONFLICT"


class IdempotencyKeyReused(DomainError):
    code = "IDEMPOTENCY_KEY_REUSED"


class VersionConflict(DomainError):
    """If-Match does not hold: somebody else saved first."""

    code = "VERSION_CONFLICT"


class ServiceConfigError(DomainError):
    """A stored configuration cannot be used, for instance because its key is gone."""

    code = "SERVICE_CONFIG_ERROR"


class DownloadGenerationFailed(DomainError):
    code = "DOWNLOAD_GENERATION_FAILED"


class NotReady(DomainError):
    """Something we depend on does not answer now; trying again later may work."""

    code = "NOT_READY"


class UpstreamError(DomainError):
    """A server that we ask failed, or answered what it should not."""

    code = "UPSTREAM_ERROR"


class UpstreamTimeout(DomainError):
    """A server that we ask took too long."""

    code = "UPSTREAM_TIMEOUT"
