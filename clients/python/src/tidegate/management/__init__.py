"""Commands of `manage.py`, for a site with `tidegate` in `INSTALLED_APPS`."""
