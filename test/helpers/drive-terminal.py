"""Runs a command in a pseudo-terminal: steps (JSON) on stdin, what the terminal was sent on stdout."""
import fcntl, json, os, pty, select, struct, sys, termios, time

plan = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(plan["env"])
    os.execvp(plan["command"][0], plan["command"])


def resize(columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(plan["columns"], plan.get("rows", 24))
seen = b""
done = False


def read(seconds):
    """Reads for so long at most; returns False at the end."""
    global seen, done
    if done:
        return False
    if select.select([fd], [], [], seconds)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            done = True
            return False
        seen += data
    return True


def write(data):
    while data:
        ready = select.select([fd], [fd], [], 10)
        if fd in ready[0]:
            read(0)
        if fd in ready[1]:
            data = data[os.write(fd, data[:512]) :]


at = 0
failed = ""
for step in plan["steps"]:
    if "wait" in step:
        want = step["wait"].encode()
        end = time.monotonic() + plan["timeout"]
        while want not in seen[at:]:
            if time.monotonic() > end or not read(0.1):
                failed = step["wait"]
                break
        if failed:
            break
        at = seen.index(want, at) + len(want)
    if "pause" in step:
        end = time.monotonic() + step["pause"]
        while time.monotonic() < end and read(0.02):
            pass
    if "resize" in step:
        resize(*step["resize"])
    if "send" in step:
        write(step["send"].encode())
    if "signal" in step:
        os.kill(pid, step["signal"])
end = time.monotonic() + (1 if failed else plan["timeout"])
while time.monotonic() < end and read(0.1):
    pass
if not done:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
json.dump({"output": seen.decode("utf8", "replace"), "code": code, "missing": failed}, sys.stdout)
