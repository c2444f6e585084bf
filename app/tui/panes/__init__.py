"""The panes of the main screen, one a module: widgets with the keys of the action table."""
