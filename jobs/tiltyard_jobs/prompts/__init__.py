"""What models are asked, word for word, and how their replies are read. Versions: `contracts.versions`."""
