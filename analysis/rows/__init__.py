"""What is kept of rows of activations? Mergeable sums, samples, histograms, their spectra."""
