"""The pages: server-rendered, readable without a script, over the same functions as the API."""
