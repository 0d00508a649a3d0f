"""Photos come in from providers on the network, with their licences."""
