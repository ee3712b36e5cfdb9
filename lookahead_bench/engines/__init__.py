"""What Hydra's launchers lack for sweeps that survive: a good end after a signal, and a result whatever happens."""
