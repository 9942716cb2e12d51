"""Which nodes of a Ray live, are in reach and have memory?"""
