"""Settings of the property tests: no deadline and no complaint about slow drawing, because machines differ."""

from hypothesis import HealthCheck, settings

settings.register_profile("scoring", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scoring")
