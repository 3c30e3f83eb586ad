"""Where bots that programs register are kept."""
