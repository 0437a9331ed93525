"""The project of the site."""
