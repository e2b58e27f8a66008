"""Which periodic work was already taken, by any of the workers."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import WORD, Moment
from cms_services.extensions import Model


class JobClaim(Model):
    """The primary key is the claim: of several workers, one inserts it and runs the job."""

    __tablename__ = "job_claims"

    job: Mapped[str] = mapped_column(WORD, primary_key=True)
    period_start: Mapped[datetime] = mapped_column(Moment, primary_key=True)
