"""What people are told of a Tournament: its status and its events. Pure."""
