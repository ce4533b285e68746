"""The untrusted half: what runs WebAssembly. Synchronous; imports msgspec and wasmtime only."""
