"""Imported by workers of a Ray of our own as they start: for the first job all is ready."""

import gc
from importlib import import_module

from jobs.worker.logs import start_keeper

start_keeper()  # it starts while this process imports the rest
import_module("jobs.run").prepare_process()
gc.freeze()  # as between jobs, but that there is no garbage yet that is worth a look
