"""The application for a WSGI server: `gunicorn wsgi:app`."""

from cms_services import create_app

app = create_app()
