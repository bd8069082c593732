"""The library that the book *From X·Xᵀ to GPT* builds: one module per chapter."""
