"""How does a store become measurements? Samples of it handed to the metrics of `analysis/`."""
