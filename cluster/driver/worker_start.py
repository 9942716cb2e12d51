"""Imported by the workers of our own Ray as they start, for what they are to do then.

Ray gives them nothing else to do before their first call, and passes over what fails here.
"""

from cluster.driver.spared_import import leave_out_pyarrow

leave_out_pyarrow()
