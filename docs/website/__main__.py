"""Build and check the site."""

import sys

from docs.website.build import main

sys.exit(main(sys.argv[1:]))
