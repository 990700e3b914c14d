"""What is reported of a Tournament: its status and its events. Pure."""
