"""Where does a launch run, what is there, and what does it cost? One small YAML file each."""
