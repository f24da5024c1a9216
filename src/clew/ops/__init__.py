"""Every operation, declared once, in families."""
