"""The command line: thin readers of the rooms' options. Only here is anything printed."""
