"""`telltale rules explain`: why a rule did or did not fire for a vehicle, from a trace or live."""
