# built by its owner
