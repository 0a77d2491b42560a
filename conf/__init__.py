"""Every choice that a user can make; the package ``satae.conf``."""
