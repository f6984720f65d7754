#!/bin/sh
# Starts the model server, lastword and a server for the page; Ctrl-C stops all three. Arguments go to server.py
# (--as-it-was, --model NAME). Ports: MODEL_PORT, GATEWAY_PORT, PAGE_PORT; another gateway: LASTWORD.
set -eu
cd "$(dirname "$0")/../.."
: "${MODEL_PORT:=8000}" "${GATEWAY_PORT:=8080}" "${PAGE_PORT:=8001}" "${LASTWORD:=build/lastword}"
here=examples/fastapi
tools/setup build
[ -x "$LASTWORD" ] || make --no-print-directory -s gateway
python=$(tools/venv $here/requirements.txt)/bin/python3

config=$(mktemp)
sed "s/:8080/:$GATEWAY_PORT/; s/:8000/:$MODEL_PORT/; s/:8001/:$PAGE_PORT/g" $here/lastword.yaml >"$config"

pids=
stop() {
	trap - EXIT INT TERM
	kill $pids 2>/dev/null || true
	wait
	rm -f "$config"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

"$python" $here/server.py --port "$MODEL_PORT" "$@" & pids="$pids $!"
"$python" -m http.server --bind 127.0.0.1 --directory $here "$PAGE_PORT" >/dev/null 2>&1 & pids="$pids $!"
"$LASTWORD" --config "$config" & pids="$pids $!"
if [ "$GATEWAY_PORT" = 8080 ]; then query=; else query="?gateway=http://127.0.0.1:$GATEWAY_PORT"; fi
echo "open http://127.0.0.1:$PAGE_PORT/$query and, in mid-answer, try: kill -9 ${pids%% *}" >&2
wait
