"""What moves a network while it trains: momenta, friction, energies and the noise of gradients."""
