"""One-time links to downloads."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import IDENTIFIER, WORD, Moment
from cms_services.extensions import Model


class DownloadLink(Model):
    """A link that gives a bundle once. Used ones and those whose time is over are deleted."""

    __tablename__ = "download_links"

    token_hash: Mapped[str] = mapped_column(WORD, primary_key=True)
    # Who made it: what the bundle holds is what this account may have when the link is used.
    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), index=True
    )
    bundle: Mapped[str] = mapped_column(WORD)
    format: Mapped[str] = mapped_column(WORD)
    with_secrets: Mapped[bool]
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
