"""`telltale vehicles`: what the registry says of vehicles, for people and for files of a whole fleet."""
