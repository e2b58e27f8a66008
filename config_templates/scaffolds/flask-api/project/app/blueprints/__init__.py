"""The API, by audience: `status` for operators, `auth`, `api` for users, `admin`."""
