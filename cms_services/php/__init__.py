"""What PHP writes, read without PHP: serialized values and sessions."""
