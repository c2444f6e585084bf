"""`config.toml`: one table of keys reads it, tells all that is wrong with it, and makes its schema and its template.

What the values mean is said in `app/policies.py` and `app/tui_settings.py`.
"""
