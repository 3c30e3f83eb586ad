"""How people and programs see and steer a fleet."""
