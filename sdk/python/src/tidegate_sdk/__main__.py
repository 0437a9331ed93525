"""`python -m tidegate_sdk build app -o build/app.wasm`."""

import sys

from tidegate_sdk.building.command import main

if __name__ == "__main__":
    sys.exit(main())
