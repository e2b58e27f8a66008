"""Every table there is, for who has to know them all: comparing the schema, backups, tests.

Importing it fills `metadata`. What runs the application loads the models that it uses and no more.
"""

import cms_services.accounts.models
import cms_services.audit.models
import cms_services.catalogue.models
import cms_services.configuration.models
import cms_services.downloads.models
import cms_services.events.models
import cms_services.idempotency.models
import cms_services.importing.models
import cms_services.ledger.models
import cms_services.mail.models
import cms_services.monitoring.health.models
import cms_services.monitoring.logs.models
import cms_services.monitoring.metrics.models
import cms_services.monitoring.models
import cms_services.monitoring.status_pages
import cms_services.projects.models
import cms_services.schema
import cms_services.worker.models  # noqa: F401
from cms_services.extensions import db

metadata = db.metadata
