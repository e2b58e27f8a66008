"""The wire form of accounts, sign-ins and tokens."""

from marshmallow import fields
from marshmallow.validate import Length

from cms_services.vocabulary import TOKEN_SCOPES, Role
from cms_services.web.fields import AnswerSchema, Moment, Name, WireSchema, word


class LoginIn(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))
    password = fields.String(required=True, validate=Length(1, 1024))
    session = fields.Boolean(load_default=True)
    code = fields.String(
        load_default=None,
        allow_none=True,
        validate=Length(1, 64),
        metadata={"description": "The authenticator's code, or a recovery code."},
    )


class RegisterIn(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))
    name = Name(load_default=None, allow_none=True)
    password = fields.String(required=True, validate=Length(max=1024))
    invitation = fields.String(
        load_default=None,
        allow_none=True,
        validate=Length(1, 255),
        metadata={"description": "The token of the letter, where REGISTRATION is invite."},
    )


class RefreshIn(WireSchema):
    refresh_token = fields.String(data_key="refreshToken", required=True, validate=Length(1, 4096))


class LogoutIn(WireSchema):
    refresh_token = fields.String(
        data_key="refreshToken", load_default=None, allow_none=True, validate=Length(1, 4096)
    )


class TokenPairOut(AnswerSchema):
    access_token = fields.String(data_key="accessToken", required=True)
    refresh_token = fields.String(data_key="refreshToken", required=True)
    token_type = fields.Constant("Bearer", data_key="tokenType", required=True)
    expires_in = fields.Integer(data_key="expiresIn", required=True)


class SignedOutOut(AnswerSchema):
    signed_out = fields.Boolean(data_key="signedOut", required=True)


class UserOut(AnswerSchema):
    id = fields.String(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = word(Role, required=True)
    active = fields.Boolean(required=True)
    created_at = Moment(data_key="createdAt", required=True)
    updated_at = Moment(data_key="updatedAt", required=True)


class UserCreation(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))
    name = Name(load_default=None, allow_none=True)
    password = fields.String(required=True, validate=Length(max=1024))
    role = word(Role, load_default=Role.USER)


class UserChange(WireSchema):
    name = Name()
    role = word(Role)
    active = fields.Boolean()
    password = fields.String(validate=Length(max=1024))


class AccountChange(WireSchema):
    """What everybody may change of the own account."""

    name = Name()


class TokenCreation(WireSchema):
    name = Name(required=True)
    scopes = fields.List(word(TOKEN_SCOPES), required=True, validate=Length(1, 50))
    expires_at = Moment(data_key="expiresAt", load_default=None, allow_none=True)


class TokenOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    expires_at = Moment(data_key="expiresAt", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)
    last_used_at = Moment(data_key="lastUsedAt", allow_none=True, required=True)


class NewTokenOut(TokenOut):
    token = fields.String(required=True, metadata={"description": "Shown this once."})


class IngestTokenCreation(WireSchema):
    name = Name(required=True)
    expires_at = Moment(data_key="expiresAt", load_default=None, allow_none=True)


class IngestTokenOut(AnswerSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    expires_at = Moment(data_key="expiresAt", allow_none=True, required=True)
    created_at = Moment(data_key="createdAt", required=True)
    last_used_at = Moment(data_key="lastUsedAt", allow_none=True, required=True)


class NewIngestTokenOut(IngestTokenOut):
    token = fields.String(required=True, metadata={"description": "Shown this once."})


class SessionOut(AnswerSchema):
    id = fields.String(required=True)
    current = fields.Boolean(required=True)
    created_at = Moment(data_key="createdAt", required=True)
    last_seen_at = Moment(data_key="lastSeenAt", required=True)
    expires_at = Moment(data_key="expiresAt", required=True)
    address = fields.String(allow_none=True, required=True)
    user_agent = fields.String(data_key="userAgent", required=True)


class EndedOut(AnswerSchema):
    ended = fields.Integer(required=True, metadata={"description": "How many sessions."})


class PasswordIn(WireSchema):
    """The caller shows anew who it is."""

    password = fields.String(required=True, validate=Length(1, 1024))
    code = fields.String(
        load_default=None,
        allow_none=True,
        validate=Length(1, 64),
        metadata={"description": "Of the second factor, where the account has one."},
    )


class PasswordChange(WireSchema):
    current_password = fields.String(
        data_key="currentPassword", required=True, validate=Length(1, 1024)
    )
    new_password = fields.String(data_key="newPassword", required=True, validate=Length(max=1024))


class PasswordForgotten(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))


class PasswordReset(WireSchema):
    token = fields.String(required=True, validate=Length(1, 255))
    password = fields.String(required=True, validate=Length(max=1024))


class DoneOut(AnswerSchema):
    done = fields.Boolean(required=True)


class CodeIn(WireSchema):
    code = fields.String(required=True, validate=Length(1, 64))


class SecondFactorOut(AnswerSchema):
    enabled = fields.Boolean(required=True)
    recovery_codes_left = fields.Integer(data_key="recoveryCodesLeft", required=True)


class EnrolmentOut(AnswerSchema):
    """Shown this once; the second factor counts once a code of it was confirmed."""

    secret = fields.String(required=True)
    uri = fields.String(required=True, metadata={"description": "For a QR code."})


class RecoveryCodesOut(AnswerSchema):
    recovery_codes = fields.List(
        fields.String(),
        data_key="recoveryCodes",
        required=True,
        metadata={"description": "Each signs in once without the authenticator. Shown this once."},
    )


class InvitationCreation(WireSchema):
    email = fields.String(required=True, validate=Length(1, 255))
    role = word(Role, load_default=Role.USER)


class InvitationOut(AnswerSchema):
    id = fields.String(required=True)
    email = fields.String(required=True)
    role = word(Role, required=True)
    created_at = Moment(data_key="createdAt", required=True)
    expires_at = Moment(data_key="expiresAt", required=True)
