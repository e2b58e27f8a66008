"""The audit trail over everything that the caller may see: who did what, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for

from cms_services.accounts.users import names_of as names_of_users
from cms_services.actor import Actor
from cms_services.audit.trail import get_entry, list_entries
from cms_services.audit.verification import Verification, unmoving_view
from cms_services.catalogue.access import readable_among
from cms_services.catalogue.listing import names_of as names_of_services
from cms_services.dashboard.audit_words import action_words
from cms_services.dashboard.guards import signed_in_page
from cms_services.encryption import current_vault
from cms_services.errors import Forbidden, NotFound
from cms_services.keyset import Page
from cms_services.projects.sharing import names_of as names_of_projects
from cms_services.projects.sharing import owned_project_ids
from cms_services.vocabulary import Permission, Relation
from cms_services.web.limits import DOWNLOAD
from cms_services.web.transactions import reading

audit_pages = Blueprint("audit_pages", __name__)

_PAGE_LENGTH = 50
_LONGEST = 255
