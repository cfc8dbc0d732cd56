// Bundles the built JavaScript into the Python and R clients.
