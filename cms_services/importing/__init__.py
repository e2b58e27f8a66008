"""Copying an old CMS's database into this one."""
