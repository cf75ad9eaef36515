"""Models behind OpenAI-compatible servers. The libraries for it are large, so they are loaded when first needed."""
