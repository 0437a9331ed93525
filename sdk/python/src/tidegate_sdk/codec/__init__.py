"""Values of Python as JSON and MessagePack, and back into the types that consumers name."""
