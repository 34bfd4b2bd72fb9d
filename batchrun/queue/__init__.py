"""The persistent queue on SQLAlchemy Core: the only place with SQL."""
