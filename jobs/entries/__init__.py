"""Which entries does a study bring along? Its own metrics, objectives, formats, kinds, …, as code.

Read from the folder that the study names, never from a root; sent to workers as text, beside the
digests that are in the keys.
"""
