"""Studies: several runs of one recipe that differ in what is studied, trained side by side."""
