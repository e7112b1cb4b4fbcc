#!/bin/bash
# static/emulate.sh EMULATOR BINARY ARG... - runs BINARY, of another architecture, and leaves a script
# "run" beside it that does so, too
set -euo pipefail
emulator=$(command -v "$1") bin=$(realpath "$2")
shift 2
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$emulator" "$bin" >"$(dirname "$bin")/run"
chmod +x "$(dirname "$bin")/run"
"$(dirname "$bin")/run" "$@"
