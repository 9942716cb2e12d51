"""Imported by workers of a Ray of our own as they start: for the first job all is ready."""

from importlib import import_module

from jobs.worker.loaded_code import set_loaded_code_apart
from jobs.worker.logs import start_keeper

start_keeper()  # it starts while this process imports the rest
import_module("jobs.run").prepare_process()
set_loaded_code_apart()
