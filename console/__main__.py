"""`python -m console` is `botdeck`."""

import sys

from console.guard import main

sys.exit(main())
