"""One file per command of `botdeck`, imported when it is used."""
