"""What is handed in and what goes back: files and pages, outside, nothing is run."""
