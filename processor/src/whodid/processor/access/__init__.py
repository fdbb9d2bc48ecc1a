"""Who may look: authentication, sessions, tenants, roles, and the record of every view of content."""
