"""Making accounts, by the API or the command."""

from sqlalchemy.exc import IntegrityError

from app.errors import ApiError
from app.extensions import db
from app.models import User
from app.tokens import hash_password


def create_user(email: str, password: str, role: str = "user") -> User:
    """Raises ApiError where the address has an account already."""
    user = User(email=email, password_hash=hash_password(password), role=role)
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise ApiError(409, "EMAIL_TAKEN", "There is an account with this address.") from None
    return user
