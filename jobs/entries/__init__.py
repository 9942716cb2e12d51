"""Which entries does a study bring along? Its own metrics, objectives, kinds, …, as code."""
