"""Moving services.php from PHP to this application, action by action."""
