"""The HTTP face of a desk: routes, problems, streams. No rules in here."""
