"""What satae-eval found of runs, on the page: read, taken together, drawn and tabled; a file for each part."""
