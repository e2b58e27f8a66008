"""The tables. Importing this package makes all of them known to the migrations."""

from app.models.data import DataRecord
from app.models.task import Task
from app.models.user import User

__all__ = ["DataRecord", "Task", "User"]
