"""Which nodes get jobs, and which jobs go elsewhere, after failures on them?"""
