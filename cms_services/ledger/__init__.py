"""Who calls services.php still, by action: what tells when the old door can be closed."""
