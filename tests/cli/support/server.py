"""A small file server for the tests of `soma data fetch`: server.py FOLDER LOG [cut BYTES | whole].

Prints its port. It knows "Range: bytes=N-"; `cut` ends every first transfer of a file after BYTES bytes,
`whole` ignores ranges as some servers do. Each request is a line of LOG."""
import http.server
import os
import sys

folder, log = sys.argv[1:3]
mode = sys.argv[3] if len(sys.argv) > 3 else ""
cut = int(sys.argv[4]) if mode == "cut" else 0
seen = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = os.path.join(folder, os.path.basename(self.path))
        begin = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and mode != "whole":
            begin = int(asked[6:].split("-")[0])
        with open(log, "a", encoding="ascii") as out:
            out.write(f"{os.path.basename(self.path)} {begin}\n")
        if not os.path.exists(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            data = file.read()
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        data = data[begin:]
        if cut and path not in seen and len(data) > cut:
            data = data[:cut]
        seen.add(path)
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
